// Package rules says what is to be found: it reads rule files, plans what the
// windows must keep for them, and turns windows into decisions.
package rules
