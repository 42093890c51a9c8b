package main

import "github.com/spf13/cobra"

func inspectCommand(e *environment) *cobra.Command { return &cobra.Command{Use: "inspect"} }
func demoCommand(e *environment) *cobra.Command    { return &cobra.Command{Use: "demo"} }
