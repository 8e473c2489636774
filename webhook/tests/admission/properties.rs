//! Property tests: no input causes a panic or the rejection of an object, and every patch applies.

use std::sync::LazyLock;

use crate::common::{Answer, FIXTURES, Webhook, fixture};
use http::StatusCode;
use logstream_core::resource::Kind;
use logstream_webhook::Outcome;
use proptest::prelude::*;
use serde_json::{Map, Value};

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        "[a-z]{1,6}",
        prop::sample::select(vec!["uid", "metadata", "annotations", "name", "env", "containers", "spec", "value"])
            .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from("CODER_AGENT_TOKEN")),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The JSON pointers of everything within a value.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                places(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                places(value, &format!("{at}/{index}"), all);
            }
        }
        _ => {}
    }
}

/// A captured review with parts of it replaced.
fn mutated() -> impl Strategy<Value = Value> {
    (0..FIXTURES.len(), prop::collection::vec((any::<prop::sample::Index>(), any_json()), 1..4)).prop_map(
        |(index, mutations)| {
            let mut review = fixture(FIXTURES[index].0);
            for (place, value) in mutations {
                let mut all = Vec::new();
                places(&review, "", &mut all);
                let place = place.get(&all).clone();
                *review.pointer_mut(&place).unwrap() = value;
            }
            review
        },
    )
}

/// Sends a body. Asserts a 4xx, or an answer that admits, with a patch that applies and changes only our annotations.
fn check(body: &str) -> Result<StatusCode, TestCaseError> {
    let webhook = Webhook::new();
    let (status, text) = RUNTIME.block_on(webhook.post(body.to_owned()));
    let kinds = Kind::ALL.iter().copied().map(Some).chain([None]);
    let panicked = kinds.map(|kind| webhook.metrics.reviews(kind, Outcome::Panicked)).sum::<u64>();
    prop_assert_eq!(panicked, 0);
    if status.is_client_error() {
        return Ok(status);
    }
    prop_assert_eq!(status, StatusCode::OK);
    let answer = Answer(serde_json::from_str(&text).unwrap());
    prop_assert_eq!(&answer.0["response"]["allowed"], &Value::Bool(true));
    if let Some(patch) = answer.patch() {
        let sent: Value = serde_json::from_str(body).unwrap();
        let mut object = sent["request"]["object"].clone();
        prop_assert!(json_patch::patch(&mut object, &patch).is_ok(), "{:?} does not apply", patch);
        for operation in patch.iter() {
            let path = operation.path().to_string();
            let ours =
                path == "/metadata/annotations" || path.starts_with("/metadata/annotations/logstream.coder.com~1");
            prop_assert!(ours, "{}", path);
        }
    }
    Ok(status)
}

proptest! {
    #[test]
    fn any_json_is_answered_with_a_4xx_or_admitted(body in any_json()) {
        check(&body.to_string())?;
    }

    #[test]
    fn any_review_with_a_uid_is_admitted(request in any_json(), uid in "[0-9a-f-]{1,36}") {
        let mut review = fixture("pod");
        review["request"] = if request.is_object() { request } else { serde_json::json!({"object": request}) };
        review["request"]["uid"] = uid.into();
        prop_assert_eq!(check(&review.to_string())?, StatusCode::OK);
    }

    #[test]
    fn a_captured_review_with_parts_replaced_is_answered_with_a_4xx_or_admitted(review in mutated()) {
        check(&review.to_string())?;
    }

    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let (status, _) = RUNTIME.block_on(Webhook::new().post(body));
        prop_assert!(status.is_client_error());
    }

    #[test]
    fn a_review_that_breaks_off_is_a_4xx(index in 0..FIXTURES.len(), cut in any::<prop::sample::Index>()) {
        let text = FIXTURES[index].1.trim_end();
        let (status, _) = RUNTIME.block_on(Webhook::new().post(text[..cut.index(text.len())].to_owned()));
        prop_assert_eq!(status, StatusCode::BAD_REQUEST);
    }
}
