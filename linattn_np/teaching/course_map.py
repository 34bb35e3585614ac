"""The map in lessons/README.md: a part of it is made from the lessons' cards, so that it stays true."""

from .sources import find_lessons, read_card, read_source

BEGIN, END = "<!-- lessons: begin (made by python -m linattn_np lessons run) -->", "<!-- lessons: end -->"
PLAN = (  # slug, what must come before, the misconception it is about; a written lesson's card takes its place
    ("one_prompt_by_hand", "", "Learning in context changes the weights."),
    ("the_backward_pass", "01", "A variable has one gradient, wherever it is used."),
    ("auditing_a_gradient", "02", "If the loss falls, the gradient is right."),
    ("second_derivatives", "02", "A Hessian needs finite differences, or automatic differentiation."),
    ("the_state_and_the_kernel", "02", "The cost of attention must grow with the square of the prompt."),
    ("optimizers_from_scratch", "02", "Adam is SGD with a cleverly chosen learning rate."),
    ("adam_beats_sgd", "06", "The mean loss of a run is a stable number."),
    ("heavy_tailed_gradient_noise", "05", "Gradient noise is Gaussian, since a batch is a mean."),
    ("robust_condition_number", "04", "The median of a spectrum is one well-defined number."),
    ("directional_smoothness", "04, 06", "Low curvature along the step means that the step descends."),
    ("generalized_smoothness", "10", "Smoothness is a constant of the loss."),
    ("the_data_distribution", "07, 08", "A changed scale is a changed tail."),
    ("depth", "07", "A learning rate that suits one depth suits all."),
    ("softmax_against_linear", "03, 07", "The two attentions differ in the softmax only."),
    ("nonlinear_regression", "07", "A noisy loss means noisy gradients."),
)


def rows(folder):
    """A row for each lesson: number, title (a link where it exists), minutes, needs, misconception."""
    written = {lesson.number: (lesson, read_card(read_source(lesson.source))) for lesson in find_lessons(folder)}
    for at, (slug, needs, misconception) in enumerate(PLAN, start=1):
        number = f"{at:02d}"
        if number in written:
            lesson, card = written[number]
            title = f"[{card.title}]({lesson.notebook.name})"
            yield number, title, " + ".join(map(str, card.minutes)), ", ".join(card.needs), card.misconception
        else:
            yield number, slug.replace("_", " "), "to come", needs, misconception


def graph(listed):
    """What must come before what, as a Mermaid graph."""
    lines = ["```mermaid", "graph LR"]
    for number, _, _, needs, _ in listed:
        before = [need.strip() for need in needs.split(",") if need.strip()]
        lines += [f"  {need} --> {number}" for need in before]
    return "\n".join([*lines, "```"])


def block(folder):
    """The part of the README that is made: the table and the graph."""
    listed = list(rows(folder))
    head = ["| | lesson | minutes to read + code + run | needs | the misconception it is about |", "|---|---|---|---|---|"]
    table = head + [
        f"| {number} | {title} | {minutes} | {needs or '–'} | {wrong} |" for number, title, minutes, needs, wrong in listed
    ]
    return "\n".join([BEGIN, "", *table, "", graph(listed), "", END])


def renewed(text, folder):
    """The README's text with its made part brought up to date. Raises ValueError when the marks are not there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md: expected the lines {BEGIN} and {END}")
    return before + block(folder) + after
