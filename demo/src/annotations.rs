//! Annotations of a workspace's pod as `kubectl describe pod` shows them: its owner, and that it is streamed.

use anyhow::Result;

use crate::play::Played;
use crate::scenario::Scenario;
use crate::site::Site;

/// The command and the part of its output with the annotations; `None` when no scenario has a pod.
pub(crate) async fn described(site: &Site, played: &[Played]) -> Result<Option<(String, String)>> {
    let Some(of) = played.iter().find(|played| played.started.scenario != Scenario::QuotaExceeded) else {
        return Ok(None);
    };
    let selector = format!("com.coder.user.username={}", of.started.scenario.owner());
    let arguments = ["-n", &of.started.namespace, "describe", "pod", "-l", &selector];
    let output = site.kubectl(&arguments).await?;
    Ok(Some((format!("kubectl {}", arguments.join(" ")), part(&output))))
}

/// Lines from `Annotations:` up to the next field.
fn part(described: &str) -> String {
    let from = described.lines().skip_while(|line| !line.starts_with("Annotations:"));
    let more = |(index, line): &(usize, &str)| *index == 0 || line.starts_with(' ');
    from.enumerate().take_while(more).flat_map(|(_, line)| [line.trim_end(), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn the_annotations_are_cut_out() {
        let output =
            "Name:  a\nLabels:  x=y\n         z=1\nAnnotations:  o: alice\n              w: dev\nStatus:  Running\n";
        assert_eq!(part(output), "Annotations:  o: alice\n              w: dev\n");
        assert_eq!(part("Name:  a\n"), "");
    }
}
