// Package rulesets holds the rules that ship with weir, each beside its script.
package rulesets

import "embed"

// FS holds the rule files and their scripts; a rule's path is its id.
//
//go:embed */*.yaml */*.test
var FS embed.FS
