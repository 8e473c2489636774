//! Names in messages, such as those of objects, images, paths, URLs and taints. Users choose them, so they must not
//! select an entry.

/// Replacement for each byte of a name. It is in no pattern, and is not a space.
const HIDDEN: u8 = 1;

/// Words with a slash that are not names.
const WORDS: [&str; 12] = [
    "i/o",
    "input/output",
    "net/http",
    "fork/exec",
    "archive/tar",
    "username/password",
    "affinity/anti-affinity",
    "affinity/selector",
    "application/",
    "and/or",
    "stdin/stdout",
    "read/write",
];

/// Hides the names in a message: words in double quotes, paths and URLs, the volumes in the kubelet's lists and, if
/// `braces` is true, text in braces. Each byte keeps its position.
pub(super) fn hidden(message: &str, braces: bool) -> String {
    let mut bytes = message.as_bytes().to_vec();
    let mut hide = |from: usize, to: usize| {
        bytes[from..to].iter_mut().filter(|byte| is_letter(**byte)).for_each(|byte| *byte = HIDDEN);
    };
    let mut quote = None;
    let (mut list, mut depth, mut word) = (None, 0_usize, 0);
    for (at, byte) in message.bytes().enumerate() {
        match byte {
            b'"' => {
                if let Some(from) = quote.replace(at + 1) {
                    hide(from, at);
                }
            }
            b'[' if message[..at].ends_with("volumes=") => list = Some(at),
            b']' => {
                if let Some(from) = list.take() {
                    hide(from, at);
                }
            }
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if byte.is_ascii_whitespace() {
            quote = None;
            if !braces && is_path(&message[word..at]) {
                hide(word, at);
            }
            word = at + 1;
        }
        if braces && depth > 0 {
            hide(at, at + 1);
        }
    }
    if !braces && is_path(&message[word..]) {
        hide(word, message.len());
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// True unless the byte is punctuation, which patterns have around names.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 128 || byte == b'_' || byte == b'-'
}

fn is_path(word: &str) -> bool {
    let bare = word.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '/');
    bare.contains('/') && !WORDS.iter().any(|known| bare.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: &str, braces: bool) -> String {
        hidden(message, braces).replace(char::from(HIDDEN), "_")
    }

    #[test]
    fn names_are_hidden_and_sentences_are_not() {
        for (message, expected) in [
            ("secret \"nfs-quota\" not found", "secret \"_________\" not found"),
            ("exec: \"nvidia-smi\": executable file not found", "exec: \"__________\": executable file not found"),
            ("caused \"exec: \\\"nfs\\\": not found\"", "caused \"exec: \\\"___\\\": not found\""),
            ("mount -t nfs host:/quota /x failed", "mount -t nfs ____:/_____ /_ failed"),
            ("dial tcp: i/o timeout", "dial tcp: i/o timeout"),
            (
                "unmounted volumes=[nfs efs], unattached volumes=[]: timed out",
                "unmounted volumes=[___ ___], unattached volumes=[]: timed out",
            ),
            ("desc = \"transport: error while dialing\"", "desc = \"transport: error while dialing\""),
            ("taint {nfs: quota}", "taint {nfs: quota}"),
            ("name \"größe\" is", "name \"_______\" is"),
        ] {
            assert_eq!(shown(message, false), expected);
        }
        assert_eq!(
            shown("2 insufficient nvidia.com/gpu, 1 taint {nfs: quota}", true),
            "2 insufficient nvidia.com/gpu, 1 taint {___: _____}"
        );
    }

    #[test]
    fn a_long_message_takes_no_longer_than_its_length() {
        for text in ["\"", "\"a", "volumes=[", "{", "a/b ", "["] {
            let long = text.repeat(300_000);
            assert_eq!(hidden(&long, true).len(), long.len());
            assert_eq!(hidden(&long, false).len(), long.len());
        }
    }
}
