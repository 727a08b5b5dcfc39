//! What the guides ask of a server.

use serde_json::Value;

use super::Server;
use crate::book;

/// The route of a path, and what the document says of it; a name in its place is taken too.
fn route<'a>(document: &'a Value, path: &str) -> Option<(&'a str, &'a Value)> {
    let paths = document["paths"].as_object().unwrap();
    let is = |route: &str| {
        let parts = route.split('/').zip(path.split('/'));
        route.split('/').count() == path.split('/').count() && { parts }
            .all(|(of, part)| of == part || (of.starts_with('{') && !part.is_empty()))
    };
    let found = paths.get_key_value(path);
    let found = found.or_else(|| paths.iter().find(|(route, _)| is(route)));
    found.map(|(route, methods)| (route.as_str(), &methods["get"]))
}

/// The same path, of a run that is there.
fn of_the_order(route: &str, path: &str) -> String {
    let parts = route.split('/').zip(path.split('/'));
    let parts = parts.map(|(of, part)| match of.starts_with('{') {
        true => "order-1042",
        false => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_request_of_the_guides_has_a_route_that_takes_it() {
    let server = Server::full().await;
    let document = server.json("/openapi.json");
    let requests = book::requests();
    assert!(requests.len() > 15, "{}", requests.len());
    for (page, target) in requests {
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let Some((route, method)) = route(&document, path) else {
            // A page of the web UI, or the document.
            let answer = server.get_with(&target, &[("Accept", "text/html, */*")]);
            assert_eq!(answer.status, 200, "{page}: {target}");
            continue;
        };
        let known: Vec<_> = (method["parameters"].as_array().into_iter().flatten())
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let set: Vec<_> = (query.split('&').filter(|part| !part.is_empty()))
            .map(|part| part.split_once('=').unwrap())
            .collect();
        for (name, _) in &set {
            assert!(
                known.contains(name),
                "{page}: {target}: {name} of {known:?}"
            );
        }
        // One names a route, the other goes on for ever.
        if path.contains('{')
            || set.iter().any(|(_, value)| value.is_empty())
            || route.ends_with("/stream")
        {
            continue;
        }
        let answer = server.get(&format!("{}?{query}", of_the_order(route, path)));
        let is_part = set
            .iter()
            .any(|(name, _)| ["event_key", "after"].contains(name));
        let expected = if is_part { 404 } else { 200 };
        assert_eq!(
            answer.status,
            expected,
            "{page}: {target}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn what_the_guides_take_from_an_answer_is_there() {
    let server = Server::full().await;
    let mut taken = 0;
    for line in book::lines() {
        let [curl, jq, ..] = &line.commands[..] else {
            continue;
        };
        if [curl, jq].map(|words| book::program(words)) != [Some("curl"), Some("jq")] {
            continue;
        }
        let filter = jq.last().unwrap();
        let path = match curl.iter().any(|word| word.contains("/trace")) {
            true => "/executions/order-1042/trace",
            false => "/executions",
        };
        let found = book::filtered(&server.json(path), filter);
        assert!(!found.is_empty(), "{}: {filter} finds nothing", line.page);
        taken += 1;
    }
    assert_eq!(taken, 2);
}
