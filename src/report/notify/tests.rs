#![allow(unused)]
//! x
