//! Ground-floor pieces shared by the webhook, the certificates and the program. Nothing here knows Kubernetes or Coder.

pub mod listen;
