package lineage

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSameParty(t *testing.T) {
	alice := Party{ID: "alice", Issuer: "https://idp.example", Kind: "human"}
	require.True(t, alice.Same(alice))
	require.True(t, alice.Same(Party{ID: "alice", Issuer: "https://idp.example", Kind: "agent"}), "the kind is no part of the name")
	for _, other := range []Party{
		{}, {ID: "alice"}, {ID: "Alice", Issuer: "https://idp.example"}, {ID: "alice", Issuer: "https://idp.example/"},
		{ID: "bob", Issuer: "https://idp.example"}, {Issuer: "https://idp.example"},
	} {
		require.False(t, alice.Same(other), "%+v", other)
		require.False(t, other.Same(alice), "%+v", other)
	}
	require.False(t, Party{}.Same(Party{}), "nobody is not the same as nobody")
}

func TestWhatARecordSays(t *testing.T) {
	l := line(t)
	task, token, derived := l[0], l[1], l[2]
	require.Equal(t, task.ID(), task.Root())
	require.Equal(t, task.ID(), derived.Root())
	for _, r := range l {
		require.Equal(t, task.ID(), r.TaskID())
	}
	require.Equal(t, *token.Body.Task.Authority, token.Derivable(), "a task token stands for the task")
	require.Equal(t, derived.Body.Granted, derived.Derivable())

	sels := derived.Selectors()
	for _, want := range []Selector{
		{SelectToken, task.ID().String()}, {SelectToken, token.ID().String()}, {SelectToken, derived.ID().String()},
		{SelectGrant, task.ID().String()}, {SelectTask, task.ID().String()}, {SelectPath, "/"}, {SelectClient, "support-bot"},
	} {
		require.Contains(t, sels, want)
	}
	require.Equal(t, Union(sels), sels, "sorted, without repeats")

	root := mustSeal(t, first(rootParts()), second(rootParts()))
	require.True(t, root.TaskID().IsZero())
	require.True(t, Record{}.TaskID().IsZero())
	require.True(t, Record{}.Derivable().Empty())

	env, body := rootParts()
	env.Kind = KindDenial
	denial := mustSeal(t, env, body)
	require.NotContains(t, denial.Selectors(), Selector{SelectGrant, denial.ID().String()}, "a denial is the root of nothing")
}
