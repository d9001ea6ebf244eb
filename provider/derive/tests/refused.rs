//! What does not compile, and what the compiler says then.

#[test]
fn misspelt_and_contradictory_attributes_are_refused_with_a_hint() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
