//! Why an image is not pulled.

use crate::finding::ImageFailure;

/// What a failure means, and what can be done.
pub(super) fn pull(failure: ImageFailure) -> &'static str {
    match failure {
        ImageFailure::NodeBusy => "The node pulls many images at the moment. Kubernetes tries again by itself.",
        ImageFailure::NodeDisk => "The node has no disk space left for the image. Tell your administrator.",
        ImageFailure::NodeRuntime => "The node's container runtime does not answer. Kubernetes tries again by itself.",
        ImageFailure::Platform => {
            "The image is not built for the node's processor architecture. Choose another image in the template, or nodes \
             that it is built for."
        }
        ImageFailure::NeverPull => {
            "The template forbids pulling the image (imagePullPolicy: Never), and the node does not have it."
        }
        ImageFailure::RateLimit => "The registry limits how often images are pulled. Kubernetes tries again by itself.",
        ImageFailure::Certificate => "The node does not trust the registry's certificate. Tell your administrator.",
        ImageFailure::PlainHttp => "The registry speaks HTTP and the node expects HTTPS. Tell your administrator.",
        ImageFailure::Login => {
            "The registry asks for a login, or does not have this image. Check its name, and the pull secret of the template."
        }
        ImageFailure::Registry => "The registry has an error of its own. Kubernetes tries again by itself.",
        ImageFailure::Unreachable => "The registry does not answer. Kubernetes tries again by itself.",
        ImageFailure::NotFound => "The image was not found. Check its name and tag in the template.",
    }
}
