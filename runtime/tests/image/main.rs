//! `falaj image`, from packages and a program that the tests make, without a network.

mod build;
mod fixtures;
mod push;
mod registry;
