//! A real Prometheus that scrapes the product.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    poll, ports,
    process::{Output, Process, Start},
    scratch::Scratch,
    tools,
};

const PROGRAM: &str = "prometheus";
const START: Duration = Duration::from_secs(30);

/// A running Prometheus on loopback. Ends when dropped.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    http: reqwest::Client,
    _process: Process,
    _files: Scratch,
}

/// Targets, rules and storage of a Prometheus.
#[derive(Debug, Clone, Copy)]
pub struct Scrape<'a> {
    /// Authorities of the targets, such as `127.0.0.1:8081`.
    pub targets: &'a [String],
    /// Path of the rules file.
    pub rules: &'a Path,
    /// Directory of its data, which is kept; with `None` it is deleted at the end.
    pub data: Option<&'a Path>,
}

impl Prometheus {
    /// Path of the program, if it is on this machine: in `PATH`, or where `.ci/run` unpacks Debian's package.
    pub fn program() -> Option<PathBuf> {
        tools::debian_program(PROGRAM, PROGRAM)
    }

    /// Starts `program`, which once a second scrapes `/metrics` of each target and evaluates the rules.
    pub async fn start(program: &Path, scrape: Scrape<'_>) -> Result<Self> {
        let (address, files) = (ports::free(), Scratch::create(PROGRAM)?);
        let config = files.path().join("prometheus.yml");
        fs::write(
            &config,
            format!(
                "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{}]\nscrape_configs:\n\
                 - job_name: logstream\n  static_configs: [{{ targets: [{}] }}]\n",
                scrape.rules.display(),
                scrape.targets.join(", ")
            ),
        )?;
        let data = scrape.data.map_or_else(|| files.path().join("data"), Path::to_owned);
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", data.display()),
            format!("--web.listen-address={address}"),
        ];
        let start = Start { program, arguments: &arguments, environment: &[], directory: files.path() };
        let process = Process::start(&start, &Output::File(&files.path().join("output.log")))?;
        let prometheus = Self { address, http: reqwest::Client::new(), _process: process, _files: files };
        poll::eventually("Prometheus is ready", START, || async {
            prometheus.http.get(prometheus.url("/-/ready")).send().await?.error_for_status()
        })
        .await?;
        Ok(prometheus)
    }

    /// The `data` of an instant query's response.
    pub async fn query(&self, expression: &str) -> Result<Value> {
        self.get("/api/v1/query", &[("query", expression)]).await
    }

    /// All rules of all groups, with their `health` and `state`.
    pub async fn rules(&self) -> Result<Vec<Value>> {
        let data = self.get("/api/v1/rules", &[]).await?;
        let groups = data["groups"].as_array().context("rules have groups")?;
        Ok(groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect())
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let mut url = reqwest::Url::parse(&self.url(path))?;
        url.query_pairs_mut().extend_pairs(query);
        let answer: Value = self.http.get(url).send().await?.json().await?;
        ensure!(answer["status"] == "success", "{query:?}: {answer}");
        Ok(answer["data"].clone())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
