//! Orders to this instance: `ping` and `drain` on its control subject.

use std::convert::Infallible;
use std::time::Duration;

use leat_contract::{
    ControlVerb, DrainReply, DrainRequest, Encoding, ErrorCode, ErrorDetail, PingReply, codec,
};
use leat_messaging::{Message, Subscription};
use tracing::{info, warn};

use crate::context::Context;
use crate::stop::StopRequest;
use crate::{Error, Tasks, unix_ms};

/// Answers orders until the connection closes.
pub(crate) async fn start(context: &Context, tasks: &Tasks, stop: &StopRequest) -> Result<(), Error> {
    let orders =
        context.connections.control.subscribe(context.subjects.control_all(&context.instance)).await?;
    let (context, stop) = (context.clone(), stop.clone());
    tasks.spawn("control", answer_all(orders, context, stop));
    Ok(())
}

async fn answer_all(mut orders: Subscription, context: Context, stop: StopRequest) -> Result<(), Infallible> {
    while let Some(order) = orders.next().await {
        let reply = obey(&order, &context, &stop);
        let Some(inbox) = order.reply() else { continue };
        let connection = &context.connections.control;
        let sent = match reply {
            Ok(payload) => connection.publish(inbox.clone(), payload).await,
            Err(detail) => connection.publish_error(inbox.clone(), &detail, Encoding::Json).await,
        };
        if let Err(error) = sent {
            warn!(%error, "reply to an order was not sent");
        }
    }
    Ok(())
}

fn obey(order: &Message, context: &Context, stop: &StopRequest) -> Result<Vec<u8>, ErrorDetail> {
    let address = context.subjects.parse_control(order.subject());
    let Some(address) = address else {
        let message = format!("no such order: {}", order.subject());
        return Err(ErrorDetail::new(ErrorCode::InvalidArgument, message));
    };
    match address.verb {
        ControlVerb::Ping => encoded(&PingReply {
            worker: context.instance.clone(),
            at: unix_ms(),
            ready: context.readiness.is_ready(),
        }),
        ControlVerb::Drain => {
            let request = drain_request(order.payload())?;
            info!(deadline_ms = request.deadline_ms, "stopping: asked to drain");
            stop.ask(request.deadline_ms.map(Duration::from_millis));
            encoded(&DrainReply { worker: context.instance.clone(), inflight: context.inflight.count() })
        }
    }
}

fn drain_request(payload: &[u8]) -> Result<DrainRequest, ErrorDetail> {
    if payload.is_empty() {
        return Ok(DrainRequest::default());
    }
    codec::decode_json(payload).map_err(|error| error.detail())
}

fn encoded<T: serde::Serialize>(reply: &T) -> Result<Vec<u8>, ErrorDetail> {
    codec::encode(Encoding::Json, reply).map_err(|error| error.detail())
}
