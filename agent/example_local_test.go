package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/tokenboundary/tokenboundary/agent"
)

// The boundary runs in the process of the agent: no HTTP, and the same answers.
func ExampleLocal() {
	ctx := context.Background()
	cfg := exampleConfig(ctx)
	local := cfg.Boundary.(agent.Local) // agent.Local{Governor: g, Client: …}
	s, err := agent.Start(ctx, agent.Config{Boundary: local, Task: cfg.Task})
	if err != nil {
		log.Fatal(err)
	}
	state, err := local.Governor.Task(ctx, exampleOps, s.TaskID())
	fmt.Println(state.State, err)
	fmt.Println(s.Complete(ctx))
	state, err = local.Governor.Task(ctx, exampleOps, s.TaskID())
	fmt.Println(state.State, err)
	// Output:
	// active <nil>
	// <nil>
	// completed <nil>
}

// Code that knows nothing but oauth2 gets the tokens of one call.
func ExampleSession_TokenSource() {
	ctx := context.Background()
	s, err := agent.Start(ctx, exampleConfig(ctx))
	if err != nil {
		log.Fatal(err)
	}
	source := s.TokenSource(ctx, agent.Call{Resource: exampleResource, Scopes: []string{"cases:read"}})
	first, err := source.Token()
	fmt.Println(first.Valid(), err)
	second, err := source.Token()
	fmt.Println(first.AccessToken == second.AccessToken, err)
	fmt.Println(s.Complete(ctx))
	_, err = source.Token()
	fmt.Println(errors.Is(err, agent.ErrEnded))
	// Output:
	// true <nil>
	// true <nil>
	// <nil>
	// true
}
