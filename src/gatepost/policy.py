"""decide(findings, policy) -> Verdict: one pure fold over facts."""
