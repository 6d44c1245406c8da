// Package replay decides recorded decisions again under another policy, and says what would change: what a set of policies
// would do to the requests of last week, before it is live.
//
//	decisions := tokenboundary.Recall{Store: s, Issuer: issuer}.All(ctx, tokenboundary.RecallFilter{Since: lastWeek})
//	report, err := replay.Run(ctx, decisions, candidate, replay.Options{})
//
// What a candidate is compared with is what was recorded, or what another policy says now (Options.Baseline). Nothing is
// written. The law behind it, which the tests of the root package and of this one hold it to: the policy that decided a
// history changes nothing of it.
package replay
