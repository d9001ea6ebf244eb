use serde_json::{Value, json};

use crate::harness::{Serving, probability, request, variant};

async fn champion() -> Serving {
    Serving::with(&[("champion", variant(3, 100, false, 0.25))]).await
}

fn near(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap_or(f64::NAN);
    assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
}

#[tokio::test]
async fn health_and_metadata_are_those_of_the_protocol() {
    let serving = champion().await;
    let caller = serving.invoker();
    assert_eq!(caller.get("/v2/health/live").await, (200, json!({ "live": true })));
    assert_eq!(caller.get("/v2/health/ready").await, (200, json!({ "ready": true })));
    let (status, server) = caller.get("/v2").await;
    assert_eq!((status, &server["name"]), (200, &json!("falaj")));
    assert!(server["extensions"].as_array().unwrap().contains(&json!("binary_tensor_data")));
    let metadata = json!({
        "name": "employed",
        "versions": ["3"],
        "platform": "falaj_safetensors",
        "inputs": [
            { "name": "age", "datatype": "FP64", "shape": [-1, 1] },
            { "name": "sector", "datatype": "BYTES", "shape": [-1, 1] },
        ],
        "outputs": [
            { "name": "probability", "datatype": "FP64", "shape": [-1, 1] },
            { "name": "label", "datatype": "INT64", "shape": [-1, 1] },
        ],
    });
    for path in ["/v2/models/employed", "/v2/models/employed/", "/v2/models/employed/versions/3"] {
        assert_eq!(caller.get(path).await, (200, metadata.clone()), "{path}");
    }
    for path in ["/v2/models/employed/ready", "/v2/models/employed/versions/3/ready"] {
        assert_eq!(caller.get(path).await, (200, json!({ "name": "employed", "ready": true })), "{path}");
    }
    for path in [
        "/v2/models/other",
        "/v2/models/employed/versions/4",
        "/v2/models/employed/versions/x/ready",
        "/v2/models/employed/versions",
        "/v2/models/employed/explain",
        "/v2/models/",
        "/v2/models/%65mployed",
        "/v2/models/employed/../employed/x",
        "/",
    ] {
        let (status, answer) = caller.get(path).await;
        assert_eq!(status, 404, "{path}: {answer}");
        assert!(answer["error"].is_string(), "{path}: {answer}");
    }
    assert_eq!(caller.get("/v2/models/employed/infer").await.0, 405);
    assert_eq!(caller.post("/v2/models/employed", &json!({})).await.0, 405);
}

#[tokio::test]
async fn rows_are_answered_with_what_the_model_computes() {
    let serving = champion().await;
    let caller = serving.invoker();
    let rows = [(23.0, "private"), (61.0, "public"), (40.0, "unheard-of")];
    let ages: Vec<f64> = rows.iter().map(|(age, _)| *age).collect();
    let sectors: Vec<&str> = rows.iter().map(|(_, sector)| *sector).collect();
    for (datatype, shape, ages, sectors) in [
        ("FP64", json!([3, 1]), json!(ages), json!(sectors)),
        ("FP64", json!([3]), json!(ages), json!(sectors)),
        ("INT32", json!([3, 1]), json!([[23], [61], [40]]), json!(sectors.iter().map(|s| [s]).collect::<Vec<_>>())),
        ("FP32", json!([3]), json!([23, 61, 40]), json!(sectors)),
        ("UINT8", json!([3]), json!([23, 61, 40]), json!(sectors)),
    ] {
        let body = json!({
            "id": "some id",
            "parameters": { "anything": [1, { "at": "all" }] },
            "inputs": [
                { "name": "sector", "shape": shape, "datatype": "BYTES", "data": sectors, "parameters": { "x": 1 } },
                { "name": "age", "shape": shape, "datatype": datatype, "data": ages },
            ],
            "unknown": true,
        });
        let (status, answer) = caller.infer(&body).await;
        assert_eq!(status, 200, "{body}: {answer}");
        assert_eq!(answer["model_name"], "employed");
        assert_eq!(answer["model_version"], "3");
        assert_eq!(answer["id"], "some id");
        assert_eq!(answer["parameters"], json!({ "variant": "champion" }));
        let outputs = answer["outputs"].as_array().unwrap();
        assert_eq!(outputs.len(), 2);
        assert_eq!(outputs[0]["name"], "probability");
        assert_eq!((&outputs[0]["datatype"], &outputs[0]["shape"]), (&json!("FP64"), &json!([3, 1])));
        for (index, (age, sector)) in rows.iter().enumerate() {
            near(&outputs[0]["data"][index], probability(*age, sector, 0.25));
        }
        assert_eq!(outputs[1], json!({ "name": "label", "datatype": "INT64", "shape": [3, 1], "data": [1, 1, 1] }));
    }
}

#[tokio::test]
async fn missing_values_are_null_and_ids_are_made_up_where_absent() {
    let serving = champion().await;
    let body = json!({ "inputs": [
        { "name": "age", "shape": [2], "datatype": "INT64", "data": [null, 50] },
        { "name": "sector", "shape": [2], "datatype": "BYTES", "data": ["public", null] },
    ], "outputs": [{ "name": "probability" }] });
    let (status, answer) = serving.invoker().infer(&body).await;
    assert_eq!(status, 200, "{answer}");
    near(&answer["outputs"][0]["data"][0], probability(f64::NAN, "public", 0.25));
    near(&answer["outputs"][0]["data"][1], probability(50.0, "", 0.25));
    assert_eq!(answer["outputs"].as_array().unwrap().len(), 1);
    answer["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap();
}

/// A body of the binary tensor data extension: JSON, then the tensors.
fn binary(json: &Value, tensors: &[&[u8]]) -> (String, Vec<u8>) {
    let json = json.to_string();
    (json.len().to_string(), [json.as_bytes(), &tensors.concat()].concat())
}

async fn send_binary(serving: &Serving, length: &str, body: Vec<u8>) -> reqwest::Response {
    let caller = serving.invoker();
    let url = format!("{}/v2/models/employed/infer", caller.base);
    caller.client.post(url).header("Inference-Header-Content-Length", length).body(body).send().await.unwrap()
}

#[tokio::test]
async fn binary_tensors_come_and_go() {
    let serving = champion().await;
    let ages: Vec<u8> = [23_i16, 61].iter().flat_map(|v| v.to_le_bytes()).collect();
    let sectors = b"\x07\0\0\0private\x06\0\0\0public";
    let json = json!({
        "inputs": [
            { "name": "age", "shape": [2, 1], "datatype": "INT16", "parameters": { "binary_data_size": 4 } },
            { "name": "sector", "shape": [2, 1], "datatype": "BYTES", "parameters": { "binary_data_size": 21 } },
        ],
        "outputs": [
            { "name": "label", "parameters": { "binary_data": false } },
            { "name": "probability", "parameters": { "binary_data": true } },
        ],
    });
    let (length, body) = binary(&json, &[&ages, sectors]);
    let answer = send_binary(&serving, &length, body).await;
    assert_eq!(answer.status(), 200);
    let length: usize = answer.headers()["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let body = answer.bytes().await.unwrap();
    let (json, tensors) = body.split_at(length);
    let json: Value = serde_json::from_slice(json).unwrap();
    assert_eq!(json["outputs"][0]["data"], json!([1, 1]));
    assert_eq!(json["outputs"][1]["parameters"], json!({ "binary_data_size": 16 }));
    assert_eq!(json["outputs"][1].get("data"), None);
    let values: Vec<f64> = tensors.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    assert_eq!(values, [probability(23.0, "private", 0.25), probability(61.0, "public", 0.25)]);
}

#[tokio::test]
async fn binary_lengths_that_do_not_add_up_are_refused() {
    let serving = champion().await;
    let request = |age: Value, sector: Value| {
        json!({ "inputs": [
            { "name": "age", "shape": [1], "datatype": "FP64", "parameters": { "binary_data_size": age } },
            { "name": "sector", "shape": [1], "datatype": "BYTES", "parameters": { "binary_data_size": sector } },
        ] })
    };
    let age = 30_f64.to_le_bytes();
    for (json, sector, expected) in [
        (request(json!(8), json!(7)), &b"\x03\0\0\0abc"[..], None),
        (request(json!(8), json!(8)), b"\x03\0\0\0abc", Some("only 7 bytes follow")),
        (request(json!(8), json!(6)), b"\x03\0\0\0abc", Some("cut off")),
        (request(json!(8), json!(7)), b"\x03\0\0\0abcd", Some("belong to no input")),
        (request(json!(8), json!(8)), b"\x03\0\0\0abcd", Some("after the last element")),
        (request(json!(8), json!(7)), b"\xff\xff\xff\xffabc", Some("cut off")),
        (request(json!(8), json!(7)), b"\x03\0\0\0\xff\xfe\xfd", Some("not UTF-8")),
        (request(json!(4), json!(7)), b"\x03\0\0\0abc", Some("1 x 8 bytes")),
        (request(json!(u64::MAX), json!(7)), b"\x03\0\0\0abc", Some("bytes follow")),
        (request(json!(-1), json!(7)), b"\x03\0\0\0abc", Some("not an inference request")),
    ] {
        let (length, body) = binary(&json, &[&age, sector]);
        let answer = send_binary(&serving, &length, body).await;
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        match expected {
            None => assert_eq!(status, 200, "{json}: {text}"),
            Some(expected) => {
                assert_eq!(status, 400, "{json}: {text}");
                assert!(text.contains(expected), "{json}: {text}");
            }
        }
    }
    for length in ["", "-1", "x", "99999", "18446744073709551616"] {
        let answer = send_binary(&serving, length, b"{}".to_vec()).await;
        assert_eq!(answer.status(), 400, "{length}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_with_the_input_and_what_would_be_right() {
    let serving = champion().await;
    let caller = serving.invoker();
    let age = |shape: Value, datatype: &str, data: Value| {
        json!({ "inputs": [
        { "name": "age", "shape": shape, "datatype": datatype, "data": data },
        { "name": "sector", "shape": [1], "datatype": "BYTES", "data": ["public"] },
    ] })
    };
    let sector = |datatype: &str, data: Value| {
        json!({ "inputs": [
        { "name": "age", "shape": [1], "datatype": "FP64", "data": [1] },
        { "name": "sector", "shape": [1], "datatype": datatype, "data": data },
    ] })
    };
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = age(json!([1]), "FP64", json!("deep")).to_string().replace("\"deep\"", &deep);
    let wide = age(json!([4_000_000_000_u64, 4_000_000_000_u64]), "FP64", json!([1]));
    let both = request("1", 1, "a").to_string().replace("\"id\":\"1\"", "\"id\":\"1\",\"id\":\"2\"");
    let cases: Vec<(String, &[&str])> = vec![
        (String::new(), &["not an inference request"]),
        ("[]".to_owned(), &["not an inference request"]),
        ("{}".to_owned(), &["missing field `inputs`"]),
        ("{\"inputs\": []}".to_owned(), &["\"age\"", "missing", "FP64", "[-1, 1]"]),
        (both, &["duplicate field"]),
        (deep, &["\"age\""]),
        (format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), &["not an inference request"]),
        (request("a\nb", 1, "a").to_string(), &["id", "control"]),
        (request(&"x".repeat(257), 1, "a").to_string(), &["id", "256"]),
        (age(json!([1]), "FP64", json!(["1"])).to_string(), &["\"age\"", "a string", "not FP64"]),
        (age(json!([1]), "FP64", json!([[[1]]])).to_string(), &["\"age\"", "nested deeper"]),
        (age(json!([2]), "FP64", json!([1])).to_string(), &["\"age\"", "[2, 1]", "1 values"]),
        (age(json!([1, 2]), "FP64", json!([1, 2])).to_string(), &["\"age\"", "[1, 2]", "[N, 1]"]),
        (age(json!([0]), "FP64", json!([])).to_string(), &["\"age\"", "at least one row"]),
        (age(json!([]), "FP64", json!([1])).to_string(), &["\"age\"", "[N, 1]"]),
        (age(json!([-1]), "FP64", json!([1])).to_string(), &["not an inference request"]),
        (wide.to_string(), &["\"age\""]),
        (age(json!([1]), "FP64", json!(1)).to_string(), &["\"age\"", "array"]),
        (age(json!([1]), "FP64", json!([{}])).to_string(), &["\"age\""]),
        (age(json!([1]), "INT8", json!([300])).to_string(), &["\"age\"", "300", "not INT8"]),
        (age(json!([1]), "UINT64", json!([-1])).to_string(), &["\"age\"", "-1", "not UINT64"]),
        (age(json!([1]), "INT64", json!([1.5])).to_string(), &["\"age\"", "1.5", "not INT64"]),
        (age(json!([1]), "BOOL", json!([1.5])).to_string(), &["\"age\"", "not BOOL"]),
        (age(json!([1]), "INT64", json!([9_007_199_254_740_993_i64])).to_string(), &["\"age\"", "hold exactly"]),
        (age(json!([1]), "FLOAT", json!([1])).to_string(), &["\"age\"", "\"FLOAT\"", "FP64"]),
        (age(json!([1]), "BYTES", json!(["1"])).to_string(), &["\"age\"", "BYTES", "FP64"]),
        (age(json!([1]), "FP64", json!([1])).to_string().replace("[1]}", "[1e400]}"), &["not"]),
        (sector("FP64", json!([1])).to_string(), &["\"sector\"", "FP64", "BYTES"]),
        (sector("BYTES", json!([1])).to_string(), &["\"sector\"", "not BYTES"]),
        (sector("BYTES", json!(["x"])).to_string().replace("\"x\"", "\"\\ud800\""), &["\"sector\"", "hex escape"]),
        (
            json!({ "inputs": [
                { "name": "age", "shape": [1], "datatype": "FP64", "data": [1] },
                { "name": "sector", "shape": [2], "datatype": "BYTES", "data": ["a", "b"] },
            ] })
            .to_string(),
            &["\"sector\"", "2 rows", "\"age\" has 1"],
        ),
        (
            request("1", 1, "a").to_string().replace("\"age\"", "\"salary\""),
            &["\"salary\"", "no such input", "age, sector"],
        ),
        (request("1", 1, "a").to_string().replace("\"sector\"", "\"age\""), &["\"age\"", "twice"]),
        (
            request("1", 1, "a").to_string().replace("\"data\":[1]", "\"parameters\":{}"),
            &["\"age\"", "neither data nor binary_data_size"],
        ),
        (
            request("1", 1, "a").to_string().replace("\"id\":\"1\"", "\"outputs\":[{\"name\":\"score\"}]"),
            &["\"score\"", "no such output", "probability, label"],
        ),
        ("\u{feff}{}".to_owned(), &["not an inference request"]),
    ];
    for (body, expected) in cases {
        let shown: String = body.chars().take(300).collect();
        let (status, answer) = caller.post_bytes("/v2/models/employed/infer", body.into_bytes()).await;
        assert_eq!(status, 400, "{shown}: {answer}");
        let error = answer["error"].as_str().unwrap();
        for part in expected {
            assert!(error.contains(part), "{shown}: {error:?} does not say {part:?}");
        }
    }
    let mut invalid = request("1", 1, "abcdef").to_string().into_bytes();
    let at = invalid.windows(6).position(|w| w == b"abcdef").unwrap();
    invalid[at] = 0xff;
    assert_eq!(caller.post_bytes("/v2/models/employed/infer", invalid).await.0, 400);
    assert_eq!(caller.infer(&request("1", 30, "private")).await.0, 200, "it still answers");
}

#[tokio::test]
async fn bodies_are_limited_whether_their_length_is_announced_or_not() {
    let serving = champion().await;
    let caller = serving.invoker();
    let (status, answer) = caller.post_bytes("/v2/models/employed/infer", vec![b' '; (16 << 20) + 1]).await;
    assert_eq!(status, 413, "{answer}");
    let chunks = (0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
    let chunks = futures::stream::iter(chunks);
    let url = format!("{}/v2/models/employed/infer", caller.base);
    let answer = caller.client.post(&url).body(reqwest::Body::wrap_stream(chunks)).send().await;
    assert_eq!(answer.unwrap().status(), 413);
    let answer = caller.client.post(&url).header("content-encoding", "gzip").body("x").send().await.unwrap();
    assert_eq!(answer.status(), 415);
    let large = json!({ "inputs": [
        { "name": "age", "shape": [100_000], "datatype": "FP64", "data": vec![30; 100_000] },
        { "name": "sector", "shape": [100_000], "datatype": "BYTES", "data": vec!["public"; 100_000] },
    ] });
    let (status, answer) = caller.infer(&large).await;
    assert_eq!(status, 200);
    assert_eq!(answer["outputs"][0]["data"].as_array().unwrap().len(), 100_000);
}
