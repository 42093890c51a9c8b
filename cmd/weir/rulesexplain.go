package main

import "github.com/spf13/cobra"

func rulesExplainCommand(e *environment) *cobra.Command { return &cobra.Command{Use: "explain"} }
