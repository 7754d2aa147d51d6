"""The workflow's rules as a picture, without graphviz: from Snakemake's own rule graph."""

import re
import subprocess
import sys

import networkx as nx
from matplotlib.axes import Axes

from stackbert.errors import UserError
from stackbert.report.style import new_figure, save_svg

WIDTH, HEIGHT = 1.6, 0.64  # from box to box, in inches
HALF = 0.17  # from a box's middle to its edge, in inches
Place = tuple[float, float]
# A bend of a long arrow: its two ends and the row it passes.
Node = str | tuple[str, str, int]


def read_rulegraph(arguments: list[str]) -> nx.DiGraph:
    """Rules and what they feed, asked of `snakemake --rulegraph`; `arguments` choose the config."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"snakemake --rulegraph: {done.stderr.strip() or done.stdout.strip()}")
    return parse_dot(done.stdout)


def parse_dot(text: str) -> nx.DiGraph:
    """Graph of rule names from the dot text that Snakemake prints, without the target `all`."""
    names = dict(re.findall(r'(\d+)\[label = "([^"\\]+)', text))
    graph = nx.DiGraph()
    graph.add_nodes_from(names.values())
    graph.add_edges_from((names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", text))
    graph.remove_nodes_from(["all"])
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    return graph


def without_cycles(graph: nx.DiGraph) -> tuple[nx.DiGraph, list[tuple[str, str]]]:
    """The graph without implied edges, and the edges that lead back (growing to training)."""
    forward, back = graph.copy(), []
    while not nx.is_directed_acyclic_graph(forward):
        cycle = min(
            sorted(part) for part in nx.strongly_connected_components(forward) if len(part) > 1
        )
        entries = [name for name in cycle if set(forward.predecessors(name)) - set(cycle)]
        entry = (entries or cycle)[0]
        found = [(name, entry) for name in forward.predecessors(entry) if name in cycle]
        forward.remove_edges_from(found)
        back += found
    return nx.transitive_reduction(forward), sorted(back)


def layout(graph: nx.DiGraph) -> tuple[dict[Node, Place], list[list[Node]]]:
    """Places in inches, and each arrow's way: rows by the longest way to a rule, few crossings."""
    level = {n: y for y, row in enumerate(nx.topological_generations(graph)) for n in row}
    for name in reversed(list(nx.topological_sort(graph))):  # as low as what follows allows
        after = [level[other] for other in graph.successors(name)]
        level[name] = min(after) - 1 if after else level[name]
    ways: list[list[Node]] = [
        [a, *((a, b, y) for y in range(level[a] + 1, level[b])), b] for a, b in sorted(graph.edges)
    ]
    bent = nx.DiGraph()
    bent.add_nodes_from(sorted(graph.nodes))
    for way in ways:
        nx.add_path(bent, way)
    rows: dict[int, list[Node]] = {}
    for node in bent.nodes:
        rows.setdefault(level[node] if isinstance(node, str) else node[2], []).append(node)
    place = {node: i - (len(row) - 1) / 2 for row in rows.values() for i, node in enumerate(row)}
    for sweep in range(12):
        neighbours = bent.predecessors if sweep % 2 == 0 else bent.successors
        for y in sorted(rows, reverse=bool(sweep % 2)):
            wished = {n: _mean([place[o] for o in neighbours(n)], place[n]) for n in rows[y]}
            rows[y].sort(key=lambda node: (wished[node], str(node)))
            place |= _spread([wished[node] for node in rows[y]], rows[y])
    return {n: (place[n] * WIDTH, -y * HEIGHT) for y, row in rows.items() for n in row}, ways


def _spread(wished: list[float], row: list[Node]) -> dict[Node, float]:
    """Positions near the wished ones (ascending) and at least 1 apart."""
    spread: list[float] = []
    for x in wished:
        spread.append(max(x, spread[-1] + 1) if spread else x)
    shift = _mean([a - b for a, b in zip(spread, wished, strict=True)], 0.0)
    return {node: x - shift for node, x in zip(row, spread, strict=True)}


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def draw_rulegraph(graph: nx.DiGraph, path: str) -> None:
    """Draw the rules as boxes and what they feed as arrows; the same file for the same graph."""
    forward, back = without_cycles(graph)
    places, ways = layout(forward)
    xs, ys = zip(*places.values(), strict=True)
    left, right = min(xs) - WIDTH / 2, max(xs) + WIDTH / 2
    bottom, top = min(ys) - HEIGHT / 2, max(ys) + HEIGHT / 2
    figure, axes = new_figure(right - left, top - bottom)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.axis("off")
    for way in ways:
        _arrow(axes, [places[node] for node in way])
    for before, after in back:
        (x0, y0), (x1, y1) = places[before], places[after]
        arrow = {"arrowstyle": "-|>", "color": "#D55E00", "connectionstyle": "arc3,rad=0.9"}
        axes.annotate("", (x1 + 0.5, y1), (x0 + 0.3, y0), arrowprops=arrow)
    for name, (x, y) in places.items():
        if isinstance(name, str):
            box = {"boxstyle": "round,pad=0.4", "facecolor": "#eaf3fa", "edgecolor": "#0072B2"}
            axes.text(x, y, name, ha="center", va="center", fontsize=10, bbox=box)
    save_svg(figure, path)


def _arrow(axes: Axes, points: list[Place]) -> None:
    """A line through points, from under the first box to above the last, with a head."""
    (x0, y0), *bends, (x1, y1) = points
    through = [(x0, y0 - HALF), *bends, (x1, y1 + HALF)]
    xs, ys = zip(*through[:-1], strict=True)
    axes.plot(xs, ys, color="#777777", linewidth=1)
    arrow = {"arrowstyle": "-|>", "color": "#777777", "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", through[-1], through[-2], arrowprops=arrow)


if __name__ == "__main__":
    draw_rulegraph(read_rulegraph(sys.argv[2:]), sys.argv[1])
