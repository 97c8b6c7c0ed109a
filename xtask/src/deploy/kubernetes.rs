//! Is the manifest what Kubernetes takes it for?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that panics has failed.

use std::fs;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Deserialize as _;
use serde::{Serialize, de::DeserializeOwned};
use serde_norway::Value;

use super::file;

/// What Kubernetes does not know, it drops, without a word: so what comes back must be what was said.
fn known<T: DeserializeOwned + Serialize>(value: &Value) -> T {
    let object: T = serde_norway::from_value(value.clone()).unwrap();
    assert_eq!(serde_norway::to_value(&object).unwrap(), *value);
    object
}

#[test]
fn the_manifest_says_what_kubernetes_understands() {
    let text = fs::read_to_string(file("kubernetes.yaml")).unwrap();
    let documents: Vec<Value> =
        serde_norway::Deserializer::from_str(&text).map(|part| Value::deserialize(part).unwrap()).collect();
    let [config, deployment, budget, service] = &documents[..] else { panic!("{documents:?}") };
    known::<ConfigMap>(config);
    known::<PodDisruptionBudget>(budget);
    let service = known::<Service>(service).spec.unwrap();
    let deployment = known::<Deployment>(deployment).spec;
    let labels = deployment.template.metadata.unwrap().labels;
    assert_eq!(labels, deployment.selector.match_labels);
    assert_eq!(labels, service.selector);
    let pod = deployment.template.spec.unwrap();
    let [container] = &pod.containers[..] else { panic!("one container") };
    let names: Vec<_> = container.ports.iter().flatten().map(|port| port.name.clone()).collect();
    assert_eq!(names, [Some("http".to_owned()), Some("metrics".to_owned())]);
    // What an instance needs to end: nobody sends anything more, and what has begun is finished.
    let sleep = container
        .lifecycle
        .as_ref()
        .and_then(|cycle| cycle.pre_stop.as_ref()?.sleep.as_ref()?.seconds.into());
    let drain = 10;
    assert!(pod.termination_grace_period_seconds > sleep.map(|seconds: i64| seconds + drain));
}
