"""Public regressions, each from a CSV file in one command, to the last digit that R or Stata prints.

The files in ``regressions/`` are copies, byte for byte, of public ones:

- ``program_effectiveness.csv``, ``warpbreaks.csv`` and ``puromycin.csv`` of Rdatasets (``csv/AER/ProgramEffectiveness.csv``,
  ``csv/datasets/warpbreaks.csv``, ``csv/datasets/Puromycin.csv`` at commit 1dcc2bf5). The first is of Spector and Mazzeo 1980,
  in Greene, *Econometric Analysis*, table F21.1; the last of Bates and Watts 1988, appendix A1.3.
- ``ships.csv`` of statsmodels (``statsmodels/discrete/tests/results/ships.csv`` at commit 82c59e37): accidents of ships,
  McCullagh and Nelder 1989, section 6.3.2; rows without a service have gaps.

What is printed: logit and probit by Stata 11 and ``nbreg accident yr_con op_75_79, exposure(service)`` by Stata, as the tests of
statsmodels have them (``results_discrete.py`` and ``results_count_robust_cluster.py`` in that folder); R's
``summary(glm(breaks ~ wool + tension, poisson))``; R's ``summary(nls(rate ~ Vm*conc/(K + conc)))`` of the treated, as *An
Introduction to R*, section 11.7, has it.

Errors are by the observed information, as Stata has them. R's ``glm`` takes the expected one, which is the same for logit
and Poisson, but not for probit.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "regressions"

SPECTOR = 'constant t = load("program_effectiveness.csv", "grade=increase,average,testscore,participation=yes")' \
    "; constant y = t[:, 0]; variable b = zeros([3]); variable a = 0.0; eta = t[:, 1:] @ b + a"  # fmt: skip

PRINTED = {
    "logit": (
        f"{SPECTOR}; loss = sum(softplus(eta) - y*eta)", ["--loglik"],
        {"b[0]": ("2.82611297201", "1.26294114526"), "b[1]": (".0951576702557", ".141554207662"),
         "b[2]": ("2.37868772835", "1.06456430165"), "a": ("-13.0213483201", "4.93132462871")},
        1e-6,
    ),
    "probit": (
        f"{SPECTOR}; loss = -sum(log_ndtr((2*y - 1)*eta))", ["--loglik"],
        {"b[0]": ("1.62581025407", ".693882522754"), "b[1]": (".051728948442", ".083890261293"),
         "b[2]": ("1.42633236818", ".595037920474"), "a": ("-7.45232041607", "2.54247249731")},
        1e-6,
    ),
    "Poisson": (
        'constant X = load("warpbreaks.csv", "wool=B,tension=M,tension=H"); constant y = load("warpbreaks.csv", "breaks")'
        "; variable b = zeros([3]); variable a = 3.0; eta = X @ b + a; loss = sum(exp(eta) - y*eta)", ["--loglik"],
        {"a": ("3.69196", "0.04541"), "b[0]": ("-0.20599", "0.05157"), "b[1]": ("-0.32132", "0.06027"),
         "b[2]": ("-0.51849", "0.06396")},
        0,
    ),
    "negative binomial": (
        'constant t = load("ships.csv", "accident,yr_con,op_75_79,service", missing="drop"); constant y = t[:, 0]'
        "; constant service = t[:, 3]; variable b = zeros([2]); variable a = -6.0; variable lnalpha = 0.0; alpha = exp(lnalpha)"
        "; r = 1/alpha; mu = service*exp(t[:, 1:3] @ b + a); loss = -sum(lgamma(y + r) - lgamma(r) - r*log1p(alpha*mu)"
        " + y*log(alpha*mu/(1 + alpha*mu)))",
        ["--loglik", "--of", "alpha"],
        {"b[0]": (".28503762550355", ".14983643534827"), "b[1]": (".17127003537767", ".27580549562862"),
         "a": ("-6.5908639033905", ".40391814231008"), "lnalpha": ("-1.4034722260565", ".51305874839271"),
         "alpha": (".24574220834903", ".12608018984282")},
        1e-8,
    ),
    "Michaelis and Menten": (
        'constant treated = load("puromycin.csv", "conc,rate")[:12]; variable Vm = 200.0; variable K = 0.05'
        "; loss = sum((treated[:, 1] - Vm*treated[:, 0]/(K + treated[:, 0]))^2)", ["--errors"],
        {"Vm": ("2.127e+02", "6.947e+00"), "K": ("6.412e-02", "8.281e-03")},
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_as_printed(gradcli, tmp_path, name):
    text, options, printed, tolerance = PRINTED[name]
    for path in DATA.iterdir():
        shutil.copy(path, tmp_path)
    done = gradcli("fit", "-e", text, "--minimize", "loss", *options, "--format", "json")
    assert done.status == 0
    assert "no minimum" not in done.err
    reply = json.loads(done.out)
    for entry, texts in printed.items():
        variable, _, index = entry.rstrip("]").partition("[")
        for found, shown in zip((reply["values"][variable]["value"], reply["errors"][variable]["error"]), texts, strict=True):  # fmt: skip
            number = found[int(index)] if index else found
            if tolerance:
                assert number == pytest.approx(float(shown), rel=tolerance)
            else:
                assert abs(number - float(shown)) <= 0.5000001 * last_place(shown)


def last_place(text: str) -> float:
    """What the last digit of a number counts: 0.001 in ``1.234``, 0.1 in ``2.127e+02``."""
    digits, _, power = text.partition("e")
    return float(f"1e{int(power or 0) - len(re.sub(r'.*[.]', '', digits) if '.' in digits else '')}")
