//! The control socket's shell: accepts, and carries requests to the supervisor and answers back.

use std::time::Duration;

use actix::prelude::*;

use crate::actor::message::Ask;
use crate::control::Listener;
use crate::control::request::{Request, Response};

/// How long an answer may take; longer than any wish may take.
const LIMIT: Duration = Duration::from_secs(40);

/// How long a peer may say nothing.
const IDLE: Duration = Duration::from_secs(30);

/// Serves the socket on the current arbiter until the program ends.
pub fn start(listener: Listener, supervisor: Recipient<Ask>) {
    actix::spawn(async move {
        listener.run(IDLE, async move |request| ask(supervisor.clone(), request).await).await;
    });
}

async fn ask(supervisor: Recipient<Ask>, request: Request) -> Response {
    match tokio::time::timeout(LIMIT, supervisor.send(Ask(request))).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => Response::Error(format!("the supervisor does not answer: {error}")),
        Err(_) => Response::Error("no answer in time".to_owned()),
    }
}
