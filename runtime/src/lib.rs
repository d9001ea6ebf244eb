pub mod oip;
pub mod pipe;
pub mod serve;
