//! The webhook answers nobody but the API server, which shows a certificate.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Result, ensure};
use logstream_certs::issue::Authority;
use logstream_testing::{Cluster, ClusterOptions, scratch::Scratch};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use serde_json::json;

use crate::world::{SECRET, World, now};

const DAY: Duration = Duration::from_hours(24);

/// Whose certificates clients have.
struct Clients {
    authority: Authority,
    certificate: String,
    key: String,
}

impl Clients {
    fn new(name: &str) -> Result<Self> {
        let authority = Authority::new(name, now(), DAY)?;
        let issuer = Issuer::from_ca_cert_pem(authority.certificate(), KeyPair::from_pem(&authority.key())?)?;
        let mut params = CertificateParams::new(["kube-apiserver".to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        Ok(Self { authority, certificate, key: key.serialize_pem() })
    }

    fn ca(&self) -> &str {
        self.authority.certificate()
    }

    /// The API server shows this certificate from its next start on.
    fn write(&self, folder: &Path) -> Result<()> {
        fs::write(folder.join("tls.crt"), &self.certificate)?;
        fs::write(folder.join("tls.key"), &self.key)?;
        Ok(())
    }

    /// Asks as somebody with such a certificate; says whether there was an answer.
    async fn ask(&self, address: SocketAddr) -> Result<bool> {
        let identity = reqwest::Identity::from_pem(format!("{}{}", self.certificate, self.key).as_bytes())?;
        ask(reqwest::Client::builder().identity(identity), address).await
    }
}

async fn ask(client: reqwest::ClientBuilder, address: SocketAddr) -> Result<bool> {
    // Whether the server is who it says is not the question here.
    let client = client.tls_danger_accept_invalid_certs(true).no_proxy().build()?;
    Ok(client.post(format!("https://{address}/mutate")).body("{}").send().await.is_ok())
}

/// What `--admission-control-config-file` names, with the kubeconfig that it names: how the API server shows itself to
/// webhooks. Returns its path.
fn configure(folder: &Path) -> Result<String> {
    let kubeconfig = folder.join("webhooks.kubeconfig");
    let user = json!({ "client-certificate": folder.join("tls.crt"), "client-key": folder.join("tls.key") });
    let users = json!({ "apiVersion": "v1", "kind": "Config", "users": [{ "name": "*", "user": user }] });
    fs::write(&kubeconfig, users.to_string())?;
    let plugin = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": kubeconfig,
    });
    let admission = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{ "name": "MutatingAdmissionWebhook", "configuration": plugin }],
    });
    let path = folder.join("admission.json");
    fs::write(&path, admission.to_string())?;
    Ok(path.display().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_api_server_is_answered_and_its_client_ca_is_replaced_while_running() -> Result<()> {
    let scratch = Scratch::create("client-certificates")?;
    let folder = scratch.path();
    let (first, second) = (Clients::new("the first client CA")?, Clients::new("the second client CA")?);
    first.write(folder)?;
    let options = ClusterOptions::new().control_plane_only();
    let options = options.apiserver_argument(format!("--admission-control-config-file={}", configure(folder)?));
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(options)).await??;
    let world = World::on(&cluster, "clients", 1, &["get", "watch"]).await?;
    let file = folder.join("client-ca.crt");
    fs::write(&file, first.ca())?;
    let arguments = [format!("--webhook-cert-secret={SECRET}"), format!("--webhook-client-ca={}", file.display())];
    let mut replica = world.start(0, &arguments)?;
    replica.wait_ready().await?;
    world.wait_admitted().await?;
    let address = world.addresses[0];
    let answered = async || -> Result<_> {
        let nobody = ask(reqwest::Client::builder(), address).await?;
        Ok((nobody, first.ask(address).await?, second.ask(address).await?))
    };
    assert_eq!(answered().await?, (false, true, false), "nobody, the first CA's client, the second's");
    let turned_away = replica.metric("webhook_handshake_failures_total").await?;
    ensure!(turned_away >= 2.0, "{turned_away}");

    // Both are accepted, the API server changes over, the old one is taken out.
    let stream = world.stream();
    stream.more(10).await?;
    fs::write(&file, first.ca().to_owned() + second.ca())?;
    replica.wait_metric("certificate_client_ca_changes_total", 2.0).await?;
    stream.more(10).await?;
    stream.end().await?.check(20)?;
    assert_eq!(answered().await?, (false, true, true));
    second.write(folder)?;
    tokio::task::block_in_place(|| cluster.restart_apiserver())?;
    world.wait_admitted().await?;
    let stream = world.stream();
    stream.more(10).await?;
    fs::write(&file, second.ca())?;
    replica.wait_metric("certificate_client_ca_changes_total", 3.0).await?;
    stream.more(10).await?;
    assert_eq!(answered().await?, (false, false, true));

    fs::write(&file, "nonsense")?;
    replica.wait_sample("certificate_client_ca_refused_total{reason=\"malformed\"}", 1.0).await?;
    stream.more(10).await?;
    stream.end().await?.check(30)?;
    assert_eq!(answered().await?, (false, false, true));

    // The proof that it is the certificate which lets the API server in.
    fs::write(&file, first.ca())?;
    replica.wait_metric("certificate_client_ca_changes_total", 4.0).await?;
    world.balancer.cut().await?;
    ensure!(world.refusal().await.is_some(), "the API server shows a certificate of the second CA");
    Ok(())
}
