// Package rulesets holds the rules that ship with weir, each beside its script,
// and the lock that holds their versions to what they do.
package rulesets

import "embed"

// FS holds the rule files and their scripts; a rule's path is its id.
//
//go:embed */*.yaml */*.test versions.lock
var FS embed.FS
