package lineage

import "github.com/tokenboundary/tokenboundary/internal/canon"

func (p Party) write(w *canon.Writer, name string) {
	w.Open(name)
	w.Text("sub", p.ID)
	w.OptionalText("iss", p.Issuer)
	w.OptionalText("kind", p.Kind)
	w.Close()
}

func (s Session) write(w *canon.Writer, name string) {
	w.Open(name)
	w.OptionalText("kind", s.Kind)
	w.OptionalText("sid", s.ID)
	w.OptionalTime("auth_time", s.AuthTime)
	w.OptionalText("acr", s.ACR)
	w.OptionalTexts("amr", s.AMR)
	w.Close()
}

func (t Task) write(w *canon.Writer) {
	w.Open("task")
	t.ID.write(w, "id")
	w.Text("purpose", t.Purpose)
	w.OptionalRaw("context", t.Context)
	w.Time("deadline", t.Deadline)
	if t.Budget != 0 {
		w.Uint("budget", t.Budget)
	}
	if t.Authority != nil {
		t.Authority.write(w, "authority")
	}
	w.Close()
}

func (r Requested) write(w *canon.Writer) {
	w.Open("requested")
	w.OptionalTexts("resources", r.Resources)
	w.OptionalTexts("scopes", r.Scopes)
	w.OptionalInt("lifetime_ns", int64(r.Lifetime))
	w.OptionalRaw("details", r.Details)
	w.OptionalTrue("deferrable", r.Deferrable)
	w.Close()
}

func (a Authority) write(w *canon.Writer, name string) {
	w.Open(name)
	writeAccess(w, "access", a.Access)
	w.OptionalRaws("details", a.Details)
	w.OptionalTime("not_after", a.NotAfter)
	w.OptionalInt("depth", int64(a.Depth))
	w.Close()
}

func writeAccess(w *canon.Writer, name string, access []Access) {
	if len(access) == 0 {
		return
	}
	w.OpenList(name)
	for _, a := range access {
		w.Open("")
		w.Text("resource", a.Resource)
		w.Texts("scopes", a.Scopes)
		w.Close()
	}
	w.CloseList()
}

func (d Deferred) write(w *canon.Writer) {
	w.Open("deferred")
	w.Text("digest", d.Digest)
	w.OpenList("wants")
	for _, o := range d.Wants {
		o.write(w)
	}
	w.CloseList()
	w.OptionalInt("lifetime_ns", int64(d.Lifetime))
	if t := d.Task; t != nil {
		w.Open("task")
		if t.MaxDerivations != nil {
			w.Uint("max_derivations", *t.MaxDerivations)
		}
		writeAccess(w, "authority", t.Authority)
		w.Close()
	}
	w.Close()
}

func (l Lease) write(w *canon.Writer) {
	w.Open("lease")
	w.Text("by", l.By)
	w.OptionalTrue("deliver", l.Deliver)
	w.Close()
}

func (s Shadow) write(w *canon.Writer) {
	w.Open("shadow")
	w.Text("policy", s.Policy)
	w.OptionalText("path", s.Path)
	writeReasons(w, "lost", s.Lost)
	writeReasons(w, "gained", s.Gained)
	w.OptionalInt("lifetime_ns", int64(s.Lifetime))
	w.Close()
}

func (o Obligation) write(w *canon.Writer) {
	w.Open("")
	w.Text("kind", o.Kind)
	w.Texts("scopes", o.Scopes)
	if len(o.Args) > 0 {
		w.Open("args")
		for _, key := range sortedKeys(o.Args, nil) {
			w.Key(key)
			w.Text("", o.Args[key])
		}
		w.Close()
	}
	w.Close()
}

func (a Approved) write(w *canon.Writer) {
	w.Open("approved")
	w.Append("id", a.ID.append)
	w.OptionalText("by", a.By)
	w.OptionalText("person", a.Person)
	w.OptionalTime("at", a.At)
	w.OptionalTexts("groups", a.Groups)
	w.Close()
}
