//! Brings a world of its own: host functions that are generated from it, called under our policy, limits and receipt.
//!
//! ```sh
//! cargo run -p host --example own_world
//! ```

use host::{Host, Invocation, Outcome, Policy, State, Tenant};
use wasmtime::component::HasData;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package acme:shop@1.0.0;

            /// What the embedder offers: prices, which depend on the customer.
            interface catalogue {
              /// The price of an item in cents.
              price: func(item: u32) -> u32;
            }

            /// What a guest implements.
            interface quote {
              /// The price of two items together.
              total: func(first: u32, second: u32) -> u32;
            }

            world shop {
              import catalogue;
              export quote;
            }
        ",
        exports: { default: async },
    });
}

/// A guest of that world, in text form to keep the example in one file. It asks for both prices and adds them up.
const GUEST: &str = r#"
(component
  (import "acme:shop/catalogue@1.0.0" (instance $catalogue
    (export "price" (func (param "item" u32) (result u32)))))
  (core func $price (canon lower (func $catalogue "price")))
  (core module $guest
    (import "host" "price" (func $price (param i32) (result i32)))
    (func (export "total") (param i32 i32) (result i32)
      (i32.add (call $price (local.get 0)) (call $price (local.get 1)))))
  (core instance $guest (instantiate $guest
    (with "host" (instance (export "price" (func $price))))))
  (func $total (param "first" u32) (param "second" u32) (result u32) (canon lift (core func $guest "total")))
  (instance $quote (export "total" (func $total)))
  (export "acme:shop/quote@1.0.0" (instance $quote)))
"#;

/// The embedder's own value in each invocation's store.
struct Customer {
    discount_percent: u32,
    asked_for: Vec<u32>,
}

/// Gives the generated trait a view of the store that is no wider than it needs.
struct Catalogue;

impl HasData for Catalogue {
    type Data<'a> = &'a mut Customer;
}

impl bindings::acme::shop::catalogue::Host for Customer {
    fn price(&mut self, item: u32) -> u32 {
        self.asked_for.push(item);
        item.saturating_mul(100) * (100 - self.discount_percent) / 100
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let host: Host<Customer> = Host::builder()
        .link(|linker| {
            bindings::acme::shop::catalogue::add_to_linker::<State<Customer>, Catalogue>(linker, State::extension)
        })
        .build()?;
    let tenant = Tenant::new("acme", Policy::parse("limits = { memory = '1MiB', cpu = '100ms' }")?)?;
    let component = host.load(GUEST.into(), tenant.policy()).await?;

    for discount_percent in [0, 25] {
        let customer = Customer { discount_percent, asked_for: Vec::new() };
        let invocation = Invocation::custom(&component, &tenant, customer);
        let ended = host
            .invoke_with(invocation, "acme:shop/quote#total", |store, instance| {
                Box::pin(async move {
                    let shop = bindings::Shop::new(&mut *store, &instance)?;
                    let total = shop.acme_shop_quote().call_total(&mut *store, 3, 7).await?;
                    Ok((total, store.data_mut().extension().asked_for.clone()))
                })
            })
            .await;
        match ended.outcome {
            Outcome::Returned((total, items)) => println!("items {items:?} cost {total} cents"),
            other => println!("no price: {}", other.reason()),
        }
        println!("receipt: {} of {}", ended.receipt.stop.reason, ended.receipt.call.unwrap_or_default());
    }
    Ok(())
}
