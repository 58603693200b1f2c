//! Runs a job from bytes: a component of the world `sandbox` or `sandbox-pure`, under a policy, for a tenant.
//!
//! ```sh
//! cargo xtask build-guests --guest redact
//! cargo run -p host --example embed_job -- target/guests/rust/redact.wasm 'mail ann@example.com'
//! ```

use anyhow::Context as _;
use host::{Host, Input, Invocation, Outcome, Policy, Tenant, Value};

const POLICY: &str = "
    limits = { memory = '16MiB', wall = '1s' }
    config = { replacement = '<{kind}>' }
";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("give the path of a component")?;
    let text = arguments.next().unwrap_or_default();

    // Made once: the host, the tenant with its policy, the compiled component.
    let host: Host = Host::new()?;
    let tenant = Tenant::new("acme", Policy::parse(POLICY)?)?;
    let bytes = std::fs::read(&path).with_context(|| format!("failed to read `{path}`"))?;
    // A refusal is a `Stop`, which says what is wrong with the bytes.
    let component = host.load(bytes, tenant.policy()).await?;

    // Made for each call: a fresh instance, an outcome and a receipt, whatever happens.
    let input = Input { body: text.into_bytes(), content_type: None, attributes: Vec::new() };
    let ended = host.invoke(Invocation::job(&component, &tenant, input)).await;
    match &ended.outcome {
        Outcome::Returned(Value::Job(Ok(output))) => println!("output:  {}", String::from_utf8_lossy(&output.body)),
        other => println!("no output: {}", other.reason()),
    }
    let receipt = &ended.receipt;
    println!("receipt: {} for {}, calls {:?}", receipt.stop.reason, receipt.tenant, receipt.calls);
    Ok(())
}
