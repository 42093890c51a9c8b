// Package torture kills, starves and damages the real program while it runs,
// and demands the decisions that would have been made without any of it.
//
// A campaign writes a log as time passes, runs weir on it as an operator does,
// and computes by itself, plainly and exactly, what must have been decided. It
// looks at weir from outside only: its files, its exit code, what it says.
package torture
