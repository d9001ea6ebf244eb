//! The broker that the guide's provider manages queues of, to try it out by hand.

#[path = "terraform-provider-queues/broker.rs"]
mod broker;

#[tokio::main]
async fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or_default();
    let (broker, endpoint) = broker::Broker::start(port).await;
    println!("A broker with {} queues: {endpoint}", broker.queues().len());
    std::future::pending::<()>().await;
}
