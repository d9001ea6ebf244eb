pub mod pipe;
pub mod serve;
