//! The nightly build: decide, prove, issue, sweep.

mod pending;
