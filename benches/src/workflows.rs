//! What is run to be measured: a long workflow to replay and a short one to run many times, with
//! payloads of the size of a small order.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, LocalActivityOptions, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

/// What activities get.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    order_id: String,
    customer: String,
    items: Vec<String>,
    total: f64,
}

/// What they give back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    order_id: String,
    status: String,
    note: String,
}

impl Order {
    /// The same for the same number.
    pub(crate) fn nth(n: u32) -> Self {
        Self {
            order_id: format!("order-{n:06}"),
            customer: format!("customer {} of the north", n % 97),
            items: (0..n % 4 + 1)
                .map(|item| format!("article {}", n * 7 + item))
                .collect(),
            total: f64::from(n % 1000) * 1.25,
        }
    }
}

impl Receipt {
    pub(crate) fn of(order: &Order) -> Self {
        Self {
            order_id: order.order_id.clone(),
            status: "completed".to_owned(),
            note: format!("{} articles for {}", order.items.len(), order.customer),
        }
    }
}

pub(crate) struct Shop;

#[activities]
impl Shop {
    #[activity]
    pub(crate) async fn ship(
        _ctx: ActivityContext,
        order: Order,
    ) -> Result<Receipt, ActivityError> {
        Ok(Receipt::of(&order))
    }
}

/// Options of every activity.
pub(crate) fn options() -> ActivityOptions {
    ActivityOptions::start_to_close_timeout(Duration::from_secs(30))
}

/// One activity after the other.
#[workflow]
#[derive(Default)]
pub(crate) struct Long;

#[workflow_methods]
impl Long {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        activities: u32,
    ) -> WorkflowResult<u32> {
        for n in 0..activities {
            ctx.execute_activity(Shop::ship, Order::nth(n), options())
                .await?;
        }
        Ok(activities)
    }
}

/// Three activities, a timer and a local activity.
#[workflow]
#[derive(Default)]
pub(crate) struct Short;

#[workflow_methods]
impl Short {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, first: u32) -> WorkflowResult<u32> {
        for n in first..first + 3 {
            ctx.execute_activity(Shop::ship, Order::nth(n), options())
                .await?;
        }
        ctx.timer(Duration::from_millis(10)).await;
        let local = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(30))
            .build();
        ctx.execute_local_activity(Shop::ship, Order::nth(first), local)
            .await?;
        Ok(first)
    }
}

/// A worker of both workflows.
pub(crate) fn worker(task_queue: &str) -> anyhow::Result<WorkerOptions> {
    Ok(WorkerOptions::new(task_queue)
        .register_activities(Shop)
        .register_workflow::<Long>()?
        .register_workflow::<Short>()?
        .build())
}
