"""The platforms of a real team in front of the sandbox: local servers that speak the vendors' APIs, none of theirs.

    rollout's blocks ──▶ Fly · Vercel · Global Config · Grafana · Slack ──follower──▶ Envoy's weights, flags, /deploy
                                        ▲ samples                                    docflow's /metrics

What they show is what the sandbox's users get, a tenth of a second later. One process, a child of the supervisor.
"""
