use tfplugin_derive::Model;

#[derive(Model)]
struct Params {
    #[attr(variadic)]
    words: Vec<String>,
    times: u32,
}

fn main() {}
