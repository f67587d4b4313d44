//! The control socket's shell: accepts, and carries requests to the supervisor and answers back.

use std::time::Duration;

use actix::prelude::*;

use crate::actor::message::{Ask, Converse};
use crate::control::Listener;
use crate::control::pickle::Reply;
use crate::control::request::{Request, Response};
use crate::python::{Raised, Value};

/// How long an answer may take; longer than any wish may take.
const LIMIT: Duration = Duration::from_secs(40);

/// How long a command of Fail2Ban's may take that moves jails, or runs what an operator chose.
const LONG: Duration = Duration::from_secs(600);

/// No client may let the server sleep for longer.
const SLEEP_CAP: Duration = Duration::from_secs(24 * 3600);

/// How long a peer may say nothing.
const IDLE: Duration = Duration::from_secs(30);

/// Serves the socket on the current arbiter until the program ends.
pub fn start(listener: Listener, ask_to: Recipient<Ask>, converse_with: Recipient<Converse>) {
    actix::spawn(async move {
        let handler = async move |request| ask(ask_to.clone(), request).await;
        let converse = async move |words| converse(converse_with.clone(), words).await;
        listener.run(IDLE, handler, converse).await;
    });
}

async fn ask(supervisor: Recipient<Ask>, request: Request) -> Response {
    match tokio::time::timeout(LIMIT, supervisor.send(Ask(request))).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => Response::Error(format!("the supervisor does not answer: {error}")),
        Err(_) => Response::Error("no answer in time".to_owned()),
    }
}

async fn converse(supervisor: Recipient<Converse>, words: Vec<Value>) -> Reply {
    match tokio::time::timeout(patience(&words), supervisor.send(Converse(words))).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => Err(runtime(&format!("the supervisor does not answer: {error}"))),
        Err(_) => Err(runtime("no answer in time")),
    }
}

fn runtime(why: &str) -> Raised {
    Raised::builtin("RuntimeError", why)
}

/// How long a command may take: what only asks is answered soon.
fn patience(words: &[Value]) -> Duration {
    let word = |place: usize| match words.get(place) {
        Some(Value::Text(word)) => word.as_str(),
        _ => "",
    };
    match word(0) {
        "sleep" => {
            words.get(1).and_then(|span| span.print().trim().parse().ok()).map_or(LIMIT, |span: f64| {
                LIMIT + Duration::try_from_secs_f64(span).unwrap_or_default().min(SLEEP_CAP)
            })
        }
        "ping" | "version" | "echo" | "status" | "stats" | "statistic" | "statistics" | "banned" | "get" => {
            LIMIT
        }
        _ => LONG,
    }
}
