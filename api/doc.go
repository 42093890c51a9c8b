// Package api is where operators, probes and Prometheus ask a running weir how
// it stands.
//
// On TCP, which is loopback only, everything can be read and nothing changed.
// What changes something is on a unix socket in the state's directory, whose
// file permissions say who may.
package api
