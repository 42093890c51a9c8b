// Package replay plays rule scripts: small stories of requests with the
// decisions that they must lead to.
//
// A script runs through the same pipeline as a log (pipeline.Run), in three
// ways that must agree. docs/SCRIPTS.md describes the language.
package replay
