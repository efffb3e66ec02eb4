package probe

func socketActions() map[string]action { return map[string]action{} }
