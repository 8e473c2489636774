//! The baseline for admission: axum behind rustls, with a constant answer. By its mode it reads a review's bytes only,
//! decodes the review (as any useful webhook must), or also answers with a patch.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

const USAGE: &str = "baseline-admission ADDRESS CERTIFICATE KEY read|decode|patch";

/// An answer without the review's UID: enough for the load driver, but an API server would reject it.
const ANSWER: &str =
    r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"","allowed":true}}"#;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, certificate, key, how] = &arguments[..] else { bail!(USAGE) };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address: SocketAddr = address.parse()?;
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    let tls = TlsAcceptor::from(Arc::new(tls));
    let answer = match how.as_str() {
        "read" => post(read),
        "decode" => post(decode),
        "patch" => post(patch),
        _ => bail!(USAGE),
    };
    let router = Router::new().route("/mutate", answer);
    let listener = TcpListener::bind(address).await.context(USAGE)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                connections.spawn(serve(stream, tls.clone(), router.clone()));
            }
        }
    }
}

type Answer = ([(header::HeaderName, &'static str); 1], &'static str);

async fn read(_review: Bytes) -> Answer {
    ([(header::CONTENT_TYPE, "application/json")], ANSWER)
}

/// Decodes the review and answers with its UID, which an API server accepts.
async fn decode(Json(review): Json<AdmissionReview<Pod>>) -> String {
    let uid = review.request.map(|request| request.uid).unwrap_or_default();
    ANSWER.replace(r#""uid":"""#, &format!(r#""uid":"{uid}""#))
}

/// Sets constant annotations with the library's own types: shows the API server's cost of any such webhook.
async fn patch(Json(review): Json<AdmissionReview<Pod>>) -> Result<Json<AdmissionReview<DynamicObject>>, StatusCode> {
    let malformed = |_| StatusCode::BAD_REQUEST;
    let request: AdmissionRequest<Pod> = review.try_into().map_err(malformed)?;
    let add =
        |key: &str| json!({ "op": "add", "path": format!("/metadata/annotations/baseline~1{key}"), "value": key });
    let operations = ["owner", "workspace", "agents", "recorded-at", "registration"].map(add);
    let patch = serde_json::from_value(operations.into_iter().collect()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let response = AdmissionResponse::from(&request).with_patch(patch).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(Json(response.into_review()))
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, router: Router) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
    Ok(())
}
