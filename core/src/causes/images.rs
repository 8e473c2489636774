//! An image cannot be pulled, or takes long.

use super::{
    Actor::{Administrator, Nobody, TemplateAuthor},
    Area::Images as AREA,
    Cause,
    pattern::Pattern,
    symptom::Topic,
};
use crate::line::Level::{Error, Warn};

const IMAGE: Pattern = Pattern::of(Topic::Image);

pub(super) static CAUSES: &[Cause] = &[
    Cause::new(AREA, "image_slow", Warn, Nobody, "The pull takes long")
        .on(&[IMAGE.reason(&["Pulling"])])
        .says(
            "The image is large, or the registry or the node's network is slow.",
            "It goes on by itself; a smaller image starts faster.",
        )
        .seen("Pulling", "Pulling image"),
    Cause::new(AREA, "image_name", Error, TemplateAuthor, "The image's name is not valid")
        .on(&[
            IMAGE.reason(&["InvalidImageName"]),
            IMAGE.text(&[
                "invalid reference format",
                "couldn't parse image",
                "could not parse reference",
                "repository name must be lowercase",
                "failed to apply default image tag",
            ]),
            Pattern::of(Topic::Container).reason(&["InspectFailed", "InvalidImageName"]).text(&["invalid reference format", "couldn't parse image", "failed to apply default image tag"]),
        ])
        .says("Image names are in lower case and have the form registry/name:tag.", "The template's author must correct it.")
        .seen(
            "InvalidImageName",
            "Failed to apply default image tag \"registry.example.com/team/Workspace:latest\": couldn't parse image name: \
             invalid reference format: repository name (team/Workspace) must be lowercase",
        ),
    Cause::new(AREA, "image_short_name", Error, TemplateAuthor, "The image's name lacks its registry")
        .on(&[IMAGE.text(&["short-name", "short name mode", "ambiguous list", "did not resolve to an alias"])])
        .says(
            "The image's name does not say which registry it is from, and the node does not guess.",
            "The template's author must write the full name, such as docker.io/library/ubuntu:24.04.",
        )
        .seen(
            "ErrImagePull",
            "rpc error: code = Unknown desc = short-name \"workspace:1\" did not resolve to an alias and no unqualified-search \
             registries are defined",
        ),
    Cause::new(AREA, "image_never_pull", Error, TemplateAuthor, "The template forbids pulling the image")
        .on(&[IMAGE.reason(&["ErrImageNeverPull"]), IMAGE.text(&["pull policy of never"])])
        .says(
            "The template forbids pulling the image (imagePullPolicy: Never), and the node does not have it.",
            "The template's author must allow pulling, or an administrator must load the image onto the node.",
        )
        .seen("ErrImageNeverPull", "Container image \"registry/x:1\" is not present with pull policy of Never"),
    Cause::new(AREA, "image_pull_rate_node", Warn, Nobody, "The node pulls many images at the moment")
        .on(&[IMAGE.text(&["pull qps exceeded"])])
        .says("The node pulls many images at the moment.", "Kubernetes tries again by itself.")
        .seen("ErrImagePull", "pull QPS exceeded"),
    Cause::new(AREA, "image_no_space", Error, Administrator, "The node has no disk space for the image")
        .on(&[IMAGE.text(&["no space left on device", "disk quota exceeded", "not enough disk space", "insufficient disk space"])])
        .says(
            "The node has no disk space left for the image.",
            "An administrator must make room on the node; starting the workspace again may find another one.",
        )
        .seen(
            "ErrImagePull",
            "failed to pull and unpack image \"ghcr.io/example/workspace:v1\": failed to extract layer sha256:ba314c14: write \
             /var/lib/containerd/x: no space left on device: unknown",
        ),
    Cause::new(AREA, "image_runtime_down", Warn, Administrator, "The node's container runtime does not answer")
        .on(&[IMAGE.raw(&["dial unix", "containerd.sock", "crio.sock", "docker daemon", "cri-dockerd.sock"]),
            Pattern::of(Topic::Container).reason(&["ImageInspectError", "InspectFailed", "Failed"]).raw(&["dial unix", "containerd.sock", "crio.sock", "imageinspecterror"]),])
        .says(
            "The node's container runtime does not answer.",
            "Kubernetes tries again by itself; if it goes on, tell your administrator.",
        )
        .seen(
            "ErrImagePull",
            "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix \
             /run/containerd/containerd.sock: connect: no such file or directory\"",
        ),
    Cause::new(AREA, "image_platform", Error, TemplateAuthor, "The image is not built for the node's architecture")
        .on(&[IMAGE.text(&[
            "no match for platform",
            "no matching manifest for",
            "does not match the specified platform",
            "no image found in manifest list",
            "no image found in image index",
            "choosing image instance",
            "cannot be used on this platform",
            "image operating system",
            "no child with platform",
        ])])
        .says(
            "The image is not built for the node's processor architecture or operating system.",
            "The template's author must choose an image that is, or nodes that it is built for.",
        )
        .seen(
            "ErrImagePull",
            "rpc error: code = NotFound desc = failed to pull and unpack image \"ghcr.io/example/workspace:v1\": no match for \
             platform in manifest: not found",
        ),
    Cause::new(AREA, "image_signature", Error, TemplateAuthor, "The image's signature is not accepted")
        .on(&[IMAGE.reason(&["SignatureValidationFailed"]), IMAGE.text(&["source image rejected", "signature was required", "signatures were accepted", "signature validation", "no signature exists", "rejected by policy", "running image * is rejected"])])
        .says(
            "The node accepts only signed images, and this one's signature is missing or not trusted.",
            "The template's author must use a signed image, or an administrator must trust its key.",
        )
        .seen(
            "SignatureValidationFailed",
            "SignatureValidationFailed: Source image rejected: A signature was required, but no signature exists",
        ),
    Cause::new(AREA, "image_format", Error, TemplateAuthor, "The image has a format that the node does not know")
        .on(&[IMAGE.text(&["manifests are no longer supported", "is no longer supported", "no longer supported since", "unsupported manifest", "schema 1", "schema1", "schema version 1", "unsupported media type", "unsupported mediatype", "unexpected media type", "unknown media type", "mediatype ? is unsupported", "media type ? is not supported", "unsupported docker v1", "is not a container image"])])
        .says(
            "The image has a format that the node's runtime does not support, such as a very old one, or is no container image.",
            "The template's author must build or push it anew, or choose another.",
        )
        .seen(
            "ErrImagePull",
            "failed to pull and unpack image \"x\": media type \"application/vnd.docker.distribution.manifest.v1+prettyjws\" is \
             no longer supported since containerd v2.1, please rebuild the image",
        ),
    Cause::new(AREA, "image_rate_limit", Warn, Administrator, "The registry limits how often images are pulled")
        .on(&[IMAGE.text(&["toomanyrequests", "too many requests", "rate limit", "rate exceeded", "ratelimit", ": 429", "status: 429", "code 429"])])
        .says(
            "The registry limits how often images are pulled, and the limit is reached.",
            "Kubernetes tries again by itself; a pull secret with an account of that registry, or a mirror, raises the limit: \
             ask your administrator.",
        )
        .seen(
            "ErrImagePull",
            "failed to resolve image: unexpected status from HEAD request to https://registry/v2/x/manifests/y: 429 Too Many \
             Requests",
        ),
    Cause::new(AREA, "image_plain_http", Error, Administrator, "The registry speaks HTTP instead of HTTPS")
        .on(&[IMAGE.text(&["server gave http response to https client", "first record does not look like a tls handshake", "http response to https"])])
        .says(
            "The registry speaks HTTP, and the node expects HTTPS.",
            "An administrator must give the registry a certificate or configure the node for it.",
        )
        .seen("ErrImagePull", "failed to do request: Head \"https://10.0.0.1:5000/v2/x\": http: server gave HTTP response to HTTPS client"),
    Cause::new(AREA, "image_certificate", Error, Administrator, "The node does not trust the registry's certificate")
        .on(&[IMAGE.text(&["x509:", "failed to verify certificate", "certificate signed by unknown", "certificate has expired", "certificate is valid for", "bad certificate", "unknown certificate", "certificate required", "tls: handshake failure", "tls: internal error", "remote error: tls"])])
        .says(
            "The node does not trust the registry's certificate, or it is not valid for this name or time.",
            "An administrator must correct the certificate or let the nodes trust its CA.",
        )
        .seen(
            "ErrImagePull",
            "failed to do request: Head \"https://registry/v2/x\": tls: failed to verify certificate: x509: certificate signed by \
             unknown authority",
        ),
    Cause::new(AREA, "registry_proxy", Warn, Administrator, "The node's proxy does not let it reach the registry")
        .on(&[IMAGE.text(&["proxyconnect", "proxy authentication required", "407 proxy"])])
        .says(
            "The proxy between the node and the registry does not answer or refuses the connection.",
            "Kubernetes tries again by itself; if it goes on, tell your administrator.",
        )
        .seen("ErrImagePull", "failed to do request: Head \"https://registry/v2/x\": proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused"),
    Cause::new(AREA, "registry_unknown_host", Error, TemplateAuthor, "The registry's host name is not known")
        .on(&[IMAGE.text(&["lookup ? on ?: no such host", "lookup ?: no such host", "lookup ? on ?: server misbehaving", "no such host", "server misbehaving", "name or service not known", "temporary failure in name resolution", "could not resolve host"])])
        .says(
            "The node does not find the registry's host{q1}.",
            "The template's author must check the name; if it is right, an administrator must check the nodes' DNS.",
        )
        .seen("ErrImagePull", "failed to do request: Head \"https://registry.invalid/v2/x\": dial tcp: lookup registry.invalid on 10.89.0.1:53: no such host"),
    Cause::new(AREA, "registry_error", Warn, Nobody, "The registry has an error of its own")
        .on(&[IMAGE.text(&[
            ": 500 ",
            ": 502 ",
            ": 503 ",
            ": 504 ",
            "status 500",
            "status 502",
            "status 503",
            "code 500",
            "code 502",
            "code 503",
            "internal server error",
            "bad gateway",
            "service unavailable",
            "gateway time",
            "received unexpected http status",
        ])])
        .says("The registry has an error of its own.", "Kubernetes tries again by itself; if it goes on, tell your administrator.")
        .seen("ErrImagePull", "failed to resolve image: unexpected status from HEAD request to http://r/v2/x/manifests/y: 500 Internal Server Error"),
    Cause::new(AREA, "registry_unreachable", Warn, Nobody, "The registry does not answer")
        .on(&[IMAGE.reason(&["RegistryUnavailable"]), IMAGE.text(&[
            "i/o timeout",
            "tls handshake timeout",
            "connection refused",
            "connection reset",
            "connection timed out",
            "no route to host",
            "network is unreachable",
            "host is unreachable",
            "deadline exceeded",
            "get : eof",
            "head : eof",
            "post : eof",
            "get ?: eof",
            "head ?: eof",
            "request canceled",
            "client.timeout",
            "timeout exceeded",
            "i/o error",
            "broken pipe",
            "http2: ",
            "stream error",
            "use of closed network connection",
            "registryunavailable",
        ]).without(&["failed to copy: read "])])
        .says(
            "The registry does not answer the node.",
            "Kubernetes tries again by itself; if it goes on, tell your administrator.",
        )
        .seen("ErrImagePull", "failed to do request: Head \"https://10.0.0.1:5999/v2/x\": dial tcp 10.0.0.1:5999: connect: connection refused"),
    Cause::new(AREA, "image_login", Error, TemplateAuthor, "The registry asks for a login, or grants no access")
        .on(&[IMAGE.text(&[
            "unauthorized",
            "authentication required",
            "authentication is required",
            "no basic auth",
            "insufficient_scope",
            "access denied",
            "access to the resource is denied",
            "access forbidden",
            "authorization failed",
            "failed to authorize",
            "token has expired",
            "token expired",
            "denied: ",
            "permission*denied",
            "403 forbidden",
            "status 403",
            "status: 403",
            "status: 401",
            "status 401",
            "code 401",
            "code 403",
            "registry 401",
            "registry 403",
            "(forbidden)",
            "(unauthorized)",
            ": 401 ",
            ": 403 ",
            "docker login",
            "incorrect username or password",
            "invalid username/password",
            "unable to retrieve auth token",
            "failed to fetch oauth token",
            "failed to fetch anonymous token",
            "accessdenied",
            "not authorized",
        ])])
        .says(
            "The registry asks for a login, refuses the one it got, or does not have this image.",
            "The template's author must check the image's name and the pull secret; an administrator can renew the secret or \
             grant access.",
        )
        .seen(
            "ErrImagePull",
            "failed to resolve image: pull access denied, repository does not exist or may require authorization: \
             authorization failed: no basic auth credentials",
        ),
    Cause::new(AREA, "image_interrupted", Warn, Nobody, "The pull was interrupted")
        .on(&[IMAGE.text(&["context canceled", "code = canceled", "operation was canceled", "pull was cancelled", "layer ? locked", "unavailable: ref", "failed to copy: read ", "error reading from server: eof", "transport is closing"])])
        .says("The pull of the image was interrupted.", "Kubernetes tries again by itself.")
        .seen("ErrImagePull", "rpc error: code = Canceled desc = failed to pull and unpack image \"x\": context canceled"),
    Cause::new(AREA, "image_corrupt", Warn, Nobody, "The download was incomplete or damaged")
        .on(&[IMAGE.text(&["unexpected eof", "short read", "failed size validation", "unexpected commit digest", "unexpected commit size", "digest mismatch", "digest did not match", "invalid checksum", "checksum mismatch", "filesystem layer verification failed", "invalid tar header", "archive/tar: invalid"])])
        .says(
            "The download of the image was incomplete or damaged.",
            "Kubernetes tries again by itself; if it goes on, tell your administrator.",
        )
        .seen("ErrImagePull", "failed to copy: httpReadSeeker: failed open: unexpected EOF"),
    Cause::new(AREA, "image_unpack", Warn, Administrator, "The node cannot unpack the image")
        .on(&[IMAGE.text(&["failed to extract layer", "failed to register layer", "failed to commit", "applylayer", "failed to apply layer", "mount callback failed"])])
        .says(
            "The node got the image and cannot unpack it; the message says why.",
            "Kubernetes tries again by itself; if it goes on, show the message to your administrator.",
        )
        .seen("ErrImagePull", "failed to register layer: ApplyLayer exit status 1 stdout: stderr: lchown /etc/gshadow: operation not permitted"),
    Cause::new(AREA, "image_not_found", Error, TemplateAuthor, "The registry does not have the image")
        .on(&[IMAGE.text(&[
            "404 not found",
            "not found",
            "manifest unknown",
            "name unknown",
            "code = notfound",
            "repository*does not exist",
            "image*does not exist",
            "manifest_unknown",
            "name_unknown",
            "no such image",
            "was deleted or has expired",
        ])])
        .says(
            "The image was not found in the registry.",
            "The template's author must check its name and tag.",
        )
        .seen(
            "ErrImagePull",
            "rpc error: code = NotFound desc = failed to pull and unpack image \"registry/x:1.0\": failed to resolve image: \
             registry/x:1.0: not found",
        ),
    Cause::new(AREA, "image_pull_secret_missing", Warn, TemplateAuthor, "The pull secret does not exist")
        .on(&[
            Pattern::of(Topic::Event).reason(&["FailedToRetrieveImagePullSecret"]).text(&["secrets (*)", "secret"]),
            IMAGE.text(&["unable to retrieve some image pull secrets"]),
        ])
        .says(
            "The Secret{q1} with the registry's login, which the template or its ServiceAccount names, does not exist in this \
             namespace.",
            "An administrator must create it, or the template's author must name another. Images that need no login start \
             without it.",
        )
        .seen(
            "FailedToRetrieveImagePullSecret",
            "Unable to retrieve some image pull secrets (registry-login); attempting to pull the image may not succeed.",
        ),
    Cause::new(AREA, "image_backoff", Warn, Nobody, "Waits before the next try to pull the image")
        .on(&[
            Pattern::of(Topic::Event).reason(&["BackOff"]).text(&["back-off pulling image"]),
            IMAGE.reason(&["ImagePullBackOff"]).text(&["back-off pulling image"]),
            Pattern::of(Topic::Container).reason(&["Failed"]).text(&["imagepullbackoff", "errimagepull"]),
        ])
        .says("The image could not be pulled. Kubernetes waits longer before each new try.", "Why it failed is in the lines above.")
        .seen("BackOff", "Back-off pulling image \"registry/x:1\""),
];
