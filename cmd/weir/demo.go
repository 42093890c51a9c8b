package main

import "github.com/spf13/cobra"

func demoCommand(e *environment) *cobra.Command { return &cobra.Command{Use: "demo"} }
