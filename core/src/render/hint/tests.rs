use super::*;

fn image(message: &str) -> Option<String> {
    waiting("dev", WaitingFor::Image, "ErrImagePull", "ghcr.io/example/workspace:v1", message).1
}

fn has(hint: Option<&str>, word: &str) {
    assert!(hint.is_some_and(|hint| hint.contains(word)), "{word}: {hint:?}");
}

/// As the kubelet with containerd 1.6 and 2.4, and the field, wrote them.
#[test]
fn each_image_failure_has_its_own_explanation() {
    for (message, word) in [
        ("pull QPS exceeded", "many images"),
        (
            "rpc error: code = NotFound desc = failed to pull and unpack image \"ghcr.io/example/workspace:v1\": no match for \
             platform in manifest: not found",
            "architecture",
        ),
        (
            "failed to pull and unpack image \"ghcr.io/example/workspace:v1\": failed to extract layer sha256:ba314c14: write \
             /var/lib/containerd/x: no space left on device: unknown",
            "disk space",
        ),
        ("Container image \"x\" is not present with pull policy of Never", "Never"),
        ("failed to resolve image: unexpected status from HEAD request to http://h/x: 429 Too Many Requests", "limits"),
        ("failed to do request: Head \"https://h/x\": tls: failed to verify certificate: x509: unknown", "trust"),
        ("http: server gave HTTP response to HTTPS client", "HTTPS"),
        (
            "failed to resolve image: pull access denied, repository does not exist or may require authorization",
            "login",
        ),
        (
            "failed to fetch anonymous token: unexpected status from GET request to http://h/token: 401 Unauthorized",
            "login",
        ),
        ("unexpected status from HEAD request to http://h/x: 403 Forbidden", "login"),
        ("unexpected status from HEAD request to http://h/x: 500 Internal Server Error", "error of its own"),
        ("dial tcp: lookup registry.invalid on 10.89.0.1:53: no such host", "does not answer"),
        ("dial tcp 10.89.0.99:5000: connect: no route to host", "does not answer"),
        ("failed to resolve image: ghcr.io/example/workspace:v1: not found", "was not found"),
        (
            "connection error: desc = \"transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: no such file\"",
            "runtime",
        ),
    ] {
        has(image(message).as_deref(), word);
    }
    assert_eq!(image("Back-off pulling image \"ghcr.io/example/workspace:v1\""), None);
}

#[test]
fn words_in_an_images_name_explain_nothing() {
    let name = "registry.example.com/forbidden/timeout-429:denied";
    let message = format!("failed to pull and unpack image \"{name}\": failed to resolve image: {name}: not found");
    has(waiting("dev", WaitingFor::Image, "ErrImagePull", name, &message).1.as_deref(), "was not found");
}

#[test]
fn an_eviction_is_blamed_on_who_caused_it() {
    for (message, word) in [
        ("The node had condition: [DiskPressure]. ", "node ran out of disk"),
        (
            "The node was low on resource: ephemeral-storage. Threshold quantity: 61506Mi, available: 6Ki. ",
            "node ran out of disk",
        ),
        ("The node was low on resource: memory. Threshold quantity: 100Mi, available: 1Ki. ", "node ran out of memory"),
        ("Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ", "its limit"),
        ("Usage of EmptyDir volume \"data\" exceeds the limit \"10Mi\". ", "its limit"),
    ] {
        has(evicted(message).as_deref(), word);
    }
    assert!(!evicted("The node had condition: [DiskPressure]. ").unwrap().contains("template"));
    assert_eq!(evicted("Evicted pod: Underutilized"), None);
}

#[test]
fn a_container_that_cannot_be_configured_is_explained_by_its_message() {
    let config = |message| waiting("dev", WaitingFor::Config, "CreateContainerConfigError", "i", message).1;
    has(config("secret \"workspace-secret\" not found").as_deref(), "A Secret");
    has(config("configmap \"workspace-settings\" not found").as_deref(), "A ConfigMap");
    has(config("couldn't find key shell in ConfigMap workspaces/settings").as_deref(), "the key");
    for message in [
        "container has runAsNonRoot and image will run as root",
        "container has runAsNonRoot and image has \
        non-numeric user (coder), cannot verify user is non-root",
    ] {
        let hint = config(message);
        assert!(!hint.as_ref().unwrap().contains("Secret"));
        has(hint.as_deref(), "root");
    }
    assert_eq!(config("failed to prepare subPath for volumeMount \"data\" of container \"dev\""), None);
}

#[test]
fn a_missing_driver_is_no_missing_secret() {
    let message = "MountVolume.SetUp failed for volume \"secrets-store-inline\" : kubernetes.io/csi: mounter.SetUpAt failed \
                   to get CSI client: driver name secrets-store.csi.k8s.io not found in the list of registered CSI drivers";
    has(event("FailedMount", message).as_deref(), "storage driver");
    has(
        event("FailedMount", "MountVolume.SetUp failed for volume \"d\" : secret \"files\" not found").as_deref(),
        "A Secret",
    );
    has(event("FailedMount", "Unable to attach or mount volumes: timed out").as_deref(), "administrator");
}
