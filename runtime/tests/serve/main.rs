//! `falaj serve` from outside: its channel, its port and its files.

mod access;
mod capture;
mod harness;
mod limits;
mod onnx;
mod pod;
mod protocol;
mod replay;
mod routing;
