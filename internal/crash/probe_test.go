package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	tb "github.com/tokenboundary/tokenboundary"
)

// probe uses what is left, and so finds out what reading does not tell: what was spent is spent and nothing else is, what
// was refused is refused, and an honest client gets what it may have. What the script has not named is only sampled.
func (m *model) probe(ctx context.Context, n *node, script []op, r *rand.Rand) error {
	named := map[string]bool{}
	for _, o := range script {
		named[o.In], named[o.Out] = true, true
	}
	for once, client := range m.spent {
		if err := n.refused(ctx, client, once); err != nil {
			return fmt.Errorf("evidence that was used: %w", err)
		}
	}
	for _, name := range m.names {
		if !named[name] && r.IntN(4) > 0 {
			continue
		}
		if err := m.probeItem(ctx, n, m.items[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// refused requires that a credential is good for nothing.
func (n *node) refused(ctx context.Context, client, once string) error {
	if who := clients()[client]; who.Kind == tb.KindOperator {
		by, err := n.operator(ctx, who, once)
		if err != nil {
			return err
		}
		if _, err = n.Signal(ctx, by, tb.Signal{Env: map[string]any{"probe": true}}); !errors.Is(err, tb.ErrUnauthenticated) {
			return fmt.Errorf("%w, want %w", err, tb.ErrUnauthenticated)
		}
		return nil
	}
	o := op{Kind: "issue", Client: client, Scopes: []string{"read"}, Once: once, At: n.clock.Now()}
	if _, err := n.do(ctx, o, nil); !errors.Is(err, tb.ErrUnauthenticated) {
		return fmt.Errorf("%w, want %w", err, tb.ErrUnauthenticated)
	}
	return nil
}

func (m *model) probeItem(ctx context.Context, n *node, i *item) error {
	switch {
	case i.kind == "approval":
		return m.probeWait(ctx, n, i)
	case i.kind != "token":
		return nil
	case i.begins && i.Refresh != "":
		if err := m.probeFamily(ctx, n, i); err != nil {
			return fmt.Errorf("its refresh family: %w", err)
		}
	}
	return m.probeDerive(ctx, n, i)
}

// probeDerive: from what is alive something can be derived, as often as the task allows; from what is dead nothing.
func (m *model) probeDerive(ctx context.Context, n *node, i *item) error {
	if i.Token == "" && i.Handle == "" || i.pays == "" && len(i.tasks) == 0 && !i.dead {
		return nil // one that can be is like another
	}
	o := op{Kind: "derive", In: "in", Client: "tool", Scopes: []string{"read"}, At: n.clock.Now()}
	held := map[string]made{"in": i.made}
	free := slices.DeleteFunc(slices.Clone(agents), func(a string) bool { return slices.Contains(i.actors, a) })
	switch {
	case !m.active(i):
		_, err := n.do(ctx, o, held)
		return denied(err, tb.CodeInvalidRequest, tb.CodeInvalidGrant)
	case len(free) == 0 || len(i.actors) == 0 || i.approved:
		return nil
	}
	o.Client = free[len(free)-1]
	if m.risky[i.pays] { // it could not be handed on now, and waits for the signal to be sent again
		_, err := n.do(ctx, o, held)
		return denied(err, tb.CodeInvalidRequest)
	}
	left := uint64(1)
	if len(i.tasks) > 0 {
		task := m.items[i.tasks[0]]
		left = task.budget - task.derived
		task.derived = task.budget
	}
	for range left {
		if _, err := n.do(ctx, o, held); err != nil {
			return fmt.Errorf("derive: %w", explained(err))
		}
	}
	if len(i.tasks) > 0 {
		_, err := n.do(ctx, o, held)
		return denied(err, tb.CodeInvalidRequest, tb.CodeInvalidGrant)
	}
	return nil
}

// probeFamily: the present refresh token is good for one use; the one before gets the same successor while it may be
// repeated, and afterwards ends the family; and of a dead family nothing is good.
func (m *model) probeFamily(ctx context.Context, n *node, i *item) error {
	refresh := func(token string) (made, error) {
		o := op{Kind: "refresh", In: "in", Client: i.client, At: n.clock.Now()}
		return n.do(ctx, o, map[string]made{"in": {Refresh: token}})
	}
	now := i.Refresh
	if m.familyDead(i) {
		_, err := refresh(now)
		return denied(err, tb.CodeInvalidGrant, tb.CodeInvalidScope)
	}
	first, err := refresh(now)
	if err != nil {
		return fmt.Errorf("the present one: %w", err)
	}
	if first.Refresh == now || first.Refresh == "" {
		return errors.New("no successor")
	}
	again, err := refresh(now)
	if err != nil {
		return fmt.Errorf("the answer once more: %w", err)
	}
	if again.Refresh != first.Refresh || again.Token == first.Token {
		return errors.New("a second successor")
	}
	n.clock.Add(grace + step)
	_, err = refresh(now)
	if err := denied(err, tb.CodeInvalidGrant); err != nil {
		return fmt.Errorf("reuse: %w", err)
	}
	_, err = refresh(first.Refresh)
	if err := denied(err, tb.CodeInvalidGrant); err != nil {
		return fmt.Errorf("the successor after the reuse: %w", err)
	}
	m.cut("family:"+i.name, "")
	return nil
}

func (m *model) familyDead(first *item) bool {
	alive := *first
	alive.dead = false
	return first.ended || m.wasCut("family:"+first.name) || !m.active(&alive) || m.risky[first.pays]
}

func (m *model) wasCut(name string) bool {
	for _, e := range m.feed {
		if e.selector == name && e.action == "" {
			return true
		}
	}
	return false
}

// probeWait: decided once, released once.
func (m *model) probeWait(ctx context.Context, n *node, i *item) error {
	if i.Code == "" || i.dead {
		return nil
	}
	for _, kind := range []string{"approve", "refuse"} {
		_, err := n.do(ctx, op{Kind: kind, In: "in", At: n.clock.Now()}, map[string]made{"in": i.made})
		if i.state == "pending" && err == nil {
			i.state = "agreed"
			continue
		}
		if !errors.Is(err, tb.ErrConflict) {
			return fmt.Errorf("%s: %w, want %w", kind, err, tb.ErrConflict)
		}
	}
	o := op{Kind: "poll", In: "in", Client: i.client, At: n.clock.Now()}
	_, err := n.do(ctx, o, map[string]made{"in": i.made})
	switch i.state {
	case "refused":
		return denied(err, tb.CodeAccessDenied)
	case "agreed":
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		_, err = n.do(ctx, o, map[string]made{"in": i.made})
	}
	return denied(err, tb.CodeInvalidGrant)
}

// denied requires a refusal with one of the codes.
func denied(err error, codes ...tb.Code) error {
	var no *tb.DeniedError
	if errors.As(err, &no) {
		for _, c := range codes {
			if no.Decision.Code == c {
				return nil
			}
		}
	}
	return fmt.Errorf("not refused as %v: %w", codes, err)
}

// explained adds to a refusal what only the lineage says.
func explained(err error) error {
	var no *tb.DeniedError
	if err != nil && errors.As(err, &no) && len(no.Decision.Reasons) > 0 {
		return fmt.Errorf("%w: %s", err, no.Decision.Reasons[len(no.Decision.Reasons)-1].Why)
	}
	return err
}
