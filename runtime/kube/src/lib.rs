//! Falaj on Kubernetes: what is applied there, whose it is, and why a pod does
//! not start.
