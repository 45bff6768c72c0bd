"""The names of our packages are ours alone."""

from checks.distributions import problems


def test_our_own_distribution_may_bring_our_packages() -> None:
    assert list(problems({"agents": ["belltower"], "workflows": ["belltower"], "numpy": ["numpy"]})) == []


def test_another_distribution_with_one_of_our_packages_is_named() -> None:
    found = list(problems({"agents": ["belltower", "openai-agents"], "workflows": ["llama-index-workflows"]}))
    assert found == [
        "openai-agents also brings a package 'agents'; uninstall it: pip uninstall openai-agents",
        "llama-index-workflows also brings a package 'workflows'; uninstall it: pip uninstall llama-index-workflows",
    ]
