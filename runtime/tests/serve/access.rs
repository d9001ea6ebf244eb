use crate::harness::{Authority, INVOKER, Serving, request, variant};

#[tokio::test]
async fn without_a_certificate_of_the_authority_nothing_is_answered() {
    let serving = Serving::with(&[("champion", variant(1, 100, false, 0.0))]).await;
    let foreign = Authority::new().leaf(&[INVOKER]);
    for leaf in [None, Some(&foreign)] {
        let caller = serving.caller(leaf);
        for path in ["/v2/health/live", "/v2/models/employed", "/metrics"] {
            let answer = caller.client.get(format!("{}{path}", caller.base)).send().await;
            assert!(answer.is_err(), "{path} was answered: {answer:?}");
        }
    }
    let plain = serving.invoker().client.get(format!("http://{}/v2/health/live", serving.address)).send().await;
    assert!(plain.is_err(), "{plain:?}");
    assert_eq!(serving.invoker().get("/v2/health/live").await.0, 200);
}

#[tokio::test]
async fn an_endpoint_is_open_to_its_invokers_only() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.0))]).await;
    let other = "spiffe://cluster/workspace/people/invoker/other";
    for uris in [vec![other], vec![], vec![INVOKER, other]] {
        let caller = serving.caller(Some(&serving.authority.leaf(&uris)));
        assert_eq!(caller.get("/v2/health/ready").await.0, 200, "{uris:?}");
        for (status, answer) in [
            caller.infer(&request("1", 30, "private")).await,
            caller.get("/v2/models/employed").await,
            caller.get("/v2/models/employed/ready").await,
            caller.post("/v2/models/employed/outcomes", &serde_json::json!({"outcomes": []})).await,
        ] {
            assert_eq!(status, 403, "{uris:?}: {answer}");
            assert!(answer["error"].as_str().unwrap().contains("not among the invokers"), "{answer}");
        }
    }
    let caller = serving.invoker();
    assert_eq!(caller.infer(&request("1", 30, "private")).await.0, 200);

    // What is revoked is refused on connections that are open already.
    serving.endpoint().invokers.clear();
    serving.publish().await;
    assert_eq!(caller.infer(&request("1", 30, "private")).await.0, 403);
}

#[tokio::test]
async fn plain_text_is_served_when_the_snapshot_says_so() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.0))]).await;
    serving.snapshot.tls = None;
    serving.publish().await;
    let answer = serving
        .invoker()
        .client
        .post(format!("http://{}/v2/models/employed/infer", serving.address))
        .body(request("1", 30, "private").to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_connection_does_not_outlive_the_authority_it_came_from() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.0))]).await;
    let caller = serving.invoker();
    assert_eq!(caller.infer(&request("1", 30, "private")).await.0, 200);
    let next = Authority::new();
    let mut tls = serving.snapshot.tls.clone().unwrap();
    tls.client_ca_pem.clone_from(&next.pem);
    serving.snapshot.tls = Some(tls);
    serving.publish().await;
    assert_eq!(caller.infer(&request("1", 30, "private")).await.0, 403);
    let again = caller.client.get(format!("{}/v2/health/live", caller.base)).send().await;
    assert!(again.is_err(), "its certificate was accepted again: {again:?}");
    let caller = serving.caller(Some(&next.leaf(&[INVOKER])));
    assert_eq!(caller.infer(&request("1", 30, "private")).await.0, 200);
}
