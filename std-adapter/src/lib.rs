pub use httpling_core::*;
