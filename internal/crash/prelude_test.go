package crash

// prelude makes something of everything.
func prelude() []op {
	read, pay := []string{"read"}, []string{"read", "pay"}
	return []op{
		{Kind: "exchange", Client: "orchestrator", Who: "alice", Scopes: pay, Out: "root", Once: "spent-1"},
		{Kind: "derive", In: "root", Client: "researcher", Scopes: read, Out: "mid"},
		{Kind: "derive", In: "mid", Client: "tool", Scopes: read, Out: "leaf"},
		{Kind: "refresh", In: "root", Client: "orchestrator", Out: "root2"},
		{Kind: "start", Client: "orchestrator", Who: "alice", Scopes: read, Budget: 3, Out: "task"},
		{Kind: "derive", In: "task", Client: "researcher", Scopes: read, Out: "work"},
		{Kind: "exchange", Client: "orchestrator", Who: "bob", Scopes: pay, Out: "bob"},
		{Kind: "derive", In: "bob", Client: "tool", Scopes: read, Out: "bobs"},
		{Kind: "defer", Client: "orchestrator", Who: "alice", Scopes: []string{"write"}, Out: "wait"},
		{Kind: "defer", Client: "orchestrator", Who: "alice", Scopes: []string{"write"}, Out: "agreed"},
		{Kind: "approve", In: "agreed"},
		{Kind: "defer", Client: "orchestrator", Who: "bob", Scopes: []string{"write"}, Out: "turned"},
		{Kind: "refuse", In: "turned", Once: "spent-2", Client: "console"},
		{Kind: "exchange", Client: "researcher", Who: "carol", Scopes: read, Out: "gone"},
		{Kind: "derive", In: "gone", Client: "tool", Scopes: read, Out: "gones"},
		{Kind: "revoke", In: "gone"},
		{Kind: "start", Client: "orchestrator", Who: "dave", Scopes: read, Budget: 2, Out: "paused"},
		{Kind: "derive", In: "paused", Client: "tool", Scopes: read, Out: "pausedwork"},
		{Kind: "suspend", In: "paused"},
		{Kind: "start", Client: "orchestrator", Who: "erin", Scopes: read, Budget: 2, Out: "done"},
		{Kind: "complete", In: "done"},
		{Kind: "report", In: "mid"},
		{Kind: "deny", Client: "tool", Scopes: []string{"never"}, Out: "no", Once: "spent-3"},
		{Kind: "record", Client: "tool", Who: "frank", Scopes: read, Out: "minted"},
	}
}

// targets are the operations that are interrupted at each of their writes.
func targets() []op {
	read, pay := []string{"read"}, []string{"read", "pay"}
	return []op{
		{Kind: "issue", Client: "tool", Scopes: read, Out: "x", Once: "e"},
		{Kind: "exchange", Client: "orchestrator", Who: "alice", Scopes: pay, Out: "x", Once: "e"},
		{Kind: "derive", In: "root", Client: "researcher", Scopes: pay, Out: "x", Once: "e"},
		{Kind: "derive", In: "work", Client: "tool", Scopes: read, Out: "x"},
		{Kind: "start", Client: "orchestrator", Who: "alice", Scopes: read, Budget: 2, Out: "x"},
		{Kind: "refresh", In: "bob", Client: "orchestrator", Out: "x", Once: "e"},
		{Kind: "refresh", In: "root", Client: "orchestrator", Out: "x"},
		{Kind: "refresh", In: "task", Client: "orchestrator", Out: "x"},
		{Kind: "revoke", In: "root", Once: "e", Client: "ops"},
		{Kind: "revoke", Who: "alice"},
		{Kind: "retire", In: "bob", Client: "orchestrator"},
		{Kind: "defer", Client: "orchestrator", Who: "bob", Scopes: []string{"write"}, Out: "x", Once: "e"},
		{Kind: "approve", In: "wait", Once: "e", Client: "console"},
		{Kind: "refuse", In: "wait"},
		{Kind: "poll", In: "agreed", Client: "orchestrator", Out: "x", Once: "e"},
		{Kind: "suspend", In: "task", Once: "e", Client: "ops"},
		{Kind: "resume", In: "paused"},
		{Kind: "complete", In: "task", Once: "e", Client: "ops"},
		{Kind: "complete", In: "paused"},
		{Kind: "signal", Who: "bob", Once: "e", Client: "ops"},
		{Kind: "report", In: "root"},
		{Kind: "deny", Client: "tool", Scopes: []string{"never"}, Out: "x", Once: "e"},
		{Kind: "record", Client: "tool", Who: "alice", Scopes: read, Out: "x", Once: "e"},
	}
}
